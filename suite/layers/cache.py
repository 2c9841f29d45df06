"""What attention keeps of the tokens that it has seen, so that the next one costs one step.

Each kind is a named tuple of tensors, so it passes through compiled functions and loops as any structure does.

Shapes: B batch, T new tokens, S slots, K key and value heads, W width of a key, V width of a value.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from keras import ops

from suite.layers.arguments import known


class Seen(NamedTuple):
    """Keys and values that a query meets, with the mask, positions and order that belong to them.

    Attributes:
        key: (B, K, S, W), projected and turned by their positions.
        value: (B, K, S, V).
        mask: (B, S) booleans, True at real tokens; or None where all are.
        positions: (S,) or (B, S) integers, where they stand.
        order: (S,) or (B, S) integers, how they follow each other.
    """

    key: Any
    value: Any
    mask: Any
    positions: Any
    order: Any

    def rows(self) -> tuple[Any, Any]:
        """Mask and positions of every row, (B, S) each."""
        shape = (ops.shape(self.key)[0], ops.shape(self.key)[2])
        mask = ops.ones(shape, "bool") if self.mask is None else self.mask
        return mask, ops.cast(ops.broadcast_to(self.positions, shape), "int32")


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

    def extend(self, new: Seen, *, window: int | None) -> tuple[Seen, Cache]:
        """T new tokens -> all that they may read, the new cache."""
        slots, tokens = self.key.shape[2], new.key.shape[2]
        before = known(self.length)
        written = 0 if before is None else int(before)
        if tokens is not None and written + tokens > slots:
            raise ValueError(
                f"A cache expects no more tokens than it has slots. "
                f"Received: {slots} slots, {written} of them filled, and {tokens} new tokens"
            )
        at = self.length
        length = at + ops.shape(new.key)[2]
        value = ops.where(length > slots, ops.cast(float("nan"), new.value.dtype), new.value)
        mask, positions = new.rows()
        cache = self._replace(
            key=ops.slice_update(self.key, (0, 0, at, 0), ops.cast(new.key, self.key.dtype)),
            value=ops.slice_update(self.value, (0, 0, at, 0), ops.cast(value, self.value.dtype)),
            mask=_write_mask(self.mask, at, mask),
            positions=ops.slice_update(self.positions, (0, at), positions),
            length=length,
        )
        return Seen(cache.key, cache.value, cache.mask, cache.positions, ops.arange(slots)), cache

    def check(self, *, window: int | None) -> None:
        """Raise a ValueError where attention with this window needs another cache."""

    def widen(self, slots: int) -> Self:
        """The same with so many more slots."""

        def wider(x: Any, axis: int) -> Any:
            return ops.pad(x, [(0, slots if axis == each else 0) for each in range(len(x.shape))])

        return self._replace(
            key=wider(self.key, 2),
            value=wider(self.value, 2),
            mask=ops.cast(wider(ops.cast(self.mask, "int32"), 1), "bool"),
            positions=wider(self.positions, 1),
        )

    def take(self, rows: Any) -> Self:
        """The cache of these rows of the batch, (R,) integers, in this order; a row may come several times."""
        return self._replace(
            key=ops.take(self.key, rows, axis=0),
            value=ops.take(self.value, rows, axis=0),
            mask=ops.take(self.mask, rows, axis=0),
            positions=ops.take(self.positions, rows, axis=0),
        )


class RollingCache(Cache):
    """The last S real tokens: for attention with a window, however long the sequence grows.

    The slots hold the tokens in order, the newest in the last; padding is the first to go.
    """

    __slots__ = ()

    def extend(self, new: Seen, *, window: int | None) -> tuple[Seen, RollingCache]:
        """T new tokens -> what they may read, which is the slots and themselves, and the new cache."""
        self.check(window=window)
        slots, tokens = self.key.shape[2], ops.shape(new.key)[2]
        new_mask, new_positions = new.rows()
        key = ops.concatenate([self.key, ops.cast(new.key, self.key.dtype)], axis=2)  # (B, K, S + T, W)
        value = ops.concatenate([self.value, ops.cast(new.value, self.value.dtype)], axis=2)  # (B, K, S + T, V)
        mask = ops.concatenate([self.mask, new_mask], axis=1)  # (B, S + T)
        positions = ops.concatenate([self.positions, new_positions], axis=1)  # (B, S + T)
        place = ops.arange(slots + tokens)  # all that the slots hold comes before what is new
        seen = Seen(key, value, mask, positions, self.length - slots + place)
        # Sorted stably by "real": padding stands before all real tokens, so that the last S slots lose none of them.
        kept = ops.argsort(ops.cast(mask, "int32") * (slots + tokens) + place, axis=1)[:, -slots:]  # (B, S)
        cache = self._replace(
            key=ops.take_along_axis(key, kept[:, None, :, None], axis=2),
            value=ops.take_along_axis(value, kept[:, None, :, None], axis=2),
            mask=ops.take_along_axis(mask, kept, axis=1),
            positions=ops.take_along_axis(positions, kept, axis=1),
            length=self.length + tokens,
        )
        return seen, cache

    def check(self, *, window: int | None) -> None:
        """Raise a ValueError where there is no window, or one that the slots cannot hold."""
        slots = self.key.shape[2]
        if window is None or slots < window - 1:
            raise ValueError(
                f"A rolling cache expects attention with a window, and at least window - 1 slots. "
                f"Received: {slots} slots, window={window}"
            )


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

    @classmethod
    def of(cls, seen: Seen) -> MemoryCache:
        """The cache of what was projected."""
        return cls(seen.key, seen.value, *seen.rows())

    def seen(self) -> Seen:
        """What a query may read."""
        return Seen(*self, order=ops.arange(self.key.shape[2]))

    def take(self, rows: Any) -> MemoryCache:
        """The cache of these rows of the batch, (R,) integers."""
        return MemoryCache(*(ops.take(x, rows, axis=0) for x in self))


class StateCache(NamedTuple):
    """What a recurrent or a convolutional layer keeps: tensors that do not grow with the sequence.

    Attributes:
        state: a tuple of tensors (B, ...).
        length: () integer, the number of tokens read, padding included.
        memory: a `MemoryCache` of the memory, or ``()`` where there is none or every call gives it.
    """

    state: tuple[Any, ...]
    length: Any
    memory: Any

    def take(self, rows: Any, *, memory: bool = True) -> StateCache:
        """The cache of these rows of the batch, (R,) integers; with ``memory=False`` places keep their memories."""
        state = tuple(ops.take(x, rows, axis=0) for x in self.state)
        return self._replace(state=state, memory=take_memory(self.memory, rows) if memory else self.memory)


def take_memory(held: MemoryCache | tuple[()], rows: Any) -> MemoryCache | tuple[()]:
    """Rows of a memory, if there is one."""
    return held.take(rows) if isinstance(held, MemoryCache) else held


def empty_cache(kind: type[Cache], shape: tuple[Any, int, int], *, widths: tuple[int, int], dtype: str) -> Cache:
    """A cache without a token: its shape (B, K, S), the widths (W, V), the type of keys and values."""
    batch, _, slots = shape
    if slots < 1:
        raise ValueError(f"A cache expects a length of at least 1. Received: length={slots}")
    return kind(
        key=ops.zeros((*shape, widths[0]), dtype),
        value=ops.zeros((*shape, widths[1]), dtype),
        mask=ops.zeros((batch, slots), "bool"),
        positions=ops.zeros((batch, slots), "int32"),
        length=ops.zeros((), "int32"),
    )


def _write_mask(held: Any, at: Any, new: Any) -> Any:
    """Slices of booleans cannot be updated on every backend."""
    return ops.cast(ops.slice_update(ops.cast(held, "int32"), (0, at), ops.cast(new, "int32")), "bool")
