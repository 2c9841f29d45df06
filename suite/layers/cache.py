"""What attention keeps of the tokens that it has seen, so that the next one costs one step.

Each kind is a named tuple of tensors, so it passes through compiled functions and loops as any structure does.

Shapes: B batch, T new tokens, S slots, K key and value heads, W width of a key, V width of a value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops


class Cache(NamedTuple):
    """Slots for a fixed number of tokens, filled from the first on.

    Writing more tokens than there are slots is a ValueError where the length is known. Inside a compiled loop, where
    nothing can be raised, it makes the output NaN from then on; it never wraps around.

    Attributes:
        key: (B, K, S, W), projected and turned by their positions.
        value: (B, K, S, V).
        mask: (B, S) booleans, True at slots that hold a real token.
        positions: (B, S) integers, where the tokens stand.
        length: () integer, the number of tokens written, padding included.
    """

    key: Any
    value: Any
    mask: Any
    positions: Any
    length: Any

    def extend(self, key: Any, value: Any, mask: Any, positions: Any) -> tuple[Seen, Cache]:
        """T new tokens of these keys (B, K, T, W) and values (B, K, T, V) -> all that they may read, the new cache."""
        slots, new = self.key.shape[2], key.shape[2]
        written = _known(self.length)
        if new is not None and (written or 0) + new > slots:
            raise ValueError(
                f"A cache expects no more tokens than it has slots. "
                f"Received: {slots} slots, {written or 0} of them filled, and {new} new tokens"
            )
        overrun = self.length + ops.shape(key)[2] > slots
        value = ops.where(overrun, ops.cast(float("nan"), value.dtype), value)
        at = self.length
        cache = self._replace(
            key=ops.slice_update(self.key, (0, 0, at, 0), ops.cast(key, self.key.dtype)),
            value=ops.slice_update(self.value, (0, 0, at, 0), ops.cast(value, self.value.dtype)),
            mask=_write_mask(self.mask, at, mask),
            positions=ops.slice_update(self.positions, (0, at), positions),
            length=self.length + ops.shape(key)[2],
        )
        seen = Seen(cache.key, cache.value, cache.mask, cache.positions, ops.arange(slots))
        return seen, cache


class RollingCache(Cache):
    """The last S real tokens: for attention with a window, however long the sequence grows.

    The slots hold the tokens in order, the newest in the last; padding is the first to go.
    """

    __slots__ = ()

    def extend(self, key: Any, value: Any, mask: Any, positions: Any) -> tuple[Seen, RollingCache]:
        """T new tokens -> what they may read, which is the slots and themselves, and the new cache."""
        slots, new = self.key.shape[2], ops.shape(key)[2]
        key = ops.concatenate([self.key, ops.cast(key, self.key.dtype)], axis=2)  # (B, K, S + T, W)
        value = ops.concatenate([self.value, ops.cast(value, self.value.dtype)], axis=2)  # (B, K, S + T, V)
        mask = ops.concatenate([self.mask, mask], axis=1)  # (B, S + T)
        positions = ops.concatenate([self.positions, positions], axis=1)  # (B, S + T)
        order = self.length - slots + ops.arange(slots + new)  # all that the slots hold comes before what is new
        seen = Seen(key, value, mask, positions, order)
        # A stable sort by "real", so that padding stands before all real tokens and the last S slots lose none of them.
        kept = ops.argsort(ops.cast(mask, "int32") * (slots + new) + ops.arange(slots + new), axis=1)[:, -slots:]
        cache = self._replace(
            key=ops.take_along_axis(key, kept[:, None, :, None], axis=2),
            value=ops.take_along_axis(value, kept[:, None, :, None], axis=2),
            mask=ops.take_along_axis(mask, kept, axis=1),
            positions=ops.take_along_axis(positions, kept, axis=1),
            length=self.length + new,
        )
        return seen, cache


class MemoryCache(NamedTuple):
    """The keys and values of a memory, projected once, for cross-attention in every step.

    Attributes:
        key: (B, K, S, W).
        value: (B, K, S, V).
        mask: (B, S) booleans, True at real positions of the memory.
        positions: (B, S) integers.
    """

    key: Any
    value: Any
    mask: Any
    positions: Any

    def seen(self) -> Seen:
        """What a query may read."""
        return Seen(*self, order=ops.arange(self.key.shape[2]))


class Seen(NamedTuple):
    """Keys and values that a query meets, with the mask, positions and order that belong to them."""

    key: Any
    value: Any
    mask: Any
    positions: Any
    order: Any


def empty(
    kind: type[Cache], batch: Any, slots: int, *, heads: int, key_width: int, value_width: int, dtype: str
) -> Cache:
    """A cache without a token."""
    if slots < 1:
        raise ValueError(f"A cache expects a length of at least 1. Received: length={slots}")
    return kind(
        key=ops.zeros((batch, heads, slots, key_width), dtype),
        value=ops.zeros((batch, heads, slots, value_width), dtype),
        mask=ops.zeros((batch, slots), "bool"),
        positions=ops.zeros((batch, slots), "int32"),
        length=ops.zeros((), "int32"),
    )


def _write_mask(held: Any, at: Any, new: Any) -> Any:
    """Slices of booleans cannot be updated on every backend."""
    return ops.cast(ops.slice_update(ops.cast(held, "int32"), (0, at), ops.cast(new, "int32")), "bool")


def _known(length: Any) -> int | None:
    """The number in a scalar tensor, or None where it stands for one that a compiled function will see later."""
    if isinstance(length, keras.KerasTensor):
        return None
    try:
        return int(length)
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return None
