"""Local attention: a sliding window without the scores outside it.

Shapes: B batch, T length, H heads, W head width, V value head width; n blocks of `window` positions, r blocks of keys
for each block of queries.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from suite.layers.arguments import known
from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask
from suite.layers.positions import per_row


@keras.saving.register_keras_serializable(package="suite")
class LocalAttention(MultiHeadAttention):
    """`MultiHeadAttention` with a `window`, in time and memory O(T x window).

    The sequence is cut into blocks of `window` tokens. A block of queries meets the keys of its own block, of the one
    before and, unless `causal`, of the one after, as a row of a batch B n times as large. All else is
    `MultiHeadAttention`'s, so the outputs are equal; hooks that a subclass overrides see such blocks.

    Distances go by positions, blocks by storage. They agree where positions rise from each real token to the next, as
    by default, or where a `pair_mask` keeps apart sequences that are packed into one row, within each of which they
    rise. Positions that do not rise, without a `pair_mask`, are a ValueError; where they are known only inside a
    compiled function, that row of the output is NaN.

    Cross-attention, a step with a cache, and sequences no longer than the keys of a block are left to
    `MultiHeadAttention`. Weights exist only on request (`return_weights`, `capture_attention`), all T x S.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.
        window: a query reads only keys fewer than so many positions away, on either side. Required.

    Call arguments:
        as `MultiHeadAttention`'s. `pair_mask` and `bias` are read along the band.

    Returns:
        as `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention`, without a window, and for positions that do not rise.

    Example:

    >>> import numpy as np
    >>> tuple(LocalAttention(2, window=3)(np.ones((2, 50, 8), "float32"), causal=True).shape)
    (2, 50, 8)

    Reference: Beltagy et al. 2020, Longformer, section 3.1, https://arxiv.org/abs/2004.05150. Differs from the paper:
    no dilation and no global tokens.
    """

    def __init__(self, heads: int, *, window: int | None = None, **kwargs: Any) -> None:
        if window is None:
            raise ValueError(f"{type(self).__name__} expects a window. Received: window=None")
        super().__init__(heads, window=window, **kwargs)

    def attend(self, query: Any, key: Any, value: Any, mask: AttentionMask, *, training: bool | None) -> Any:
        """Queries (B, H, T, W), keys (B, H, T, W), values (B, H, T, V) -> contexts (B, H, T, V), no weights."""
        band = _Band(size=self.window or 1, reach=2 if mask.causal else 3, rows=query)
        elsewhere = mask.query_positions is not mask.key_positions  # cross-attention, or a cache
        short = isinstance(band.length, int) and band.length <= band.size * band.reach
        if elsewhere or short:
            return super().attend(query, key, value, mask, training=training)
        folded = band.queries(query), band.keys(key), band.keys(value)
        context, _ = super().attend(*folded, band.mask(mask), training=training)  # (B n, H, size, V)
        context = band.unfold(context)  # (B, H, T, V)
        if mask.query_positions is not mask.query_order and mask.pair is None:
            context = self._poison(context, mask)
        return context, None

    def _poison(self, context: Any, mask: AttentionMask) -> Any:
        rises = _rises(per_row(mask.query_positions), mask.key)  # (B or 1)
        always = known(ops.all(rises))
        if always is not None and not always:
            raise ValueError(
                f"{type(self).__name__} expects positions that rise from each real token to the next, or a pair_mask "
                f"that keeps packed sequences apart. Received: positions={mask.query_positions}"
            )
        nan = ops.cast(float("nan"), context.dtype)
        return context if always is not None else ops.where(rises[:, None, None, None], context, nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Band:
    """How a sequence is cut into blocks, and all that belongs to it likewise."""

    size: int
    reach: int
    rows: Any

    @property
    def length(self) -> Any:
        return ops.shape(self.rows)[2]

    @property
    def blocks(self) -> Any:
        return -(-self.length // self.size)

    def queries(self, x: Any) -> Any:
        """(B, H, T, W) -> (B n, H, size, W)."""
        return self._fold(self._cut(x, before=0, after=0))

    def keys(self, x: Any) -> Any:
        """(B, H, T, W) -> (B n, H, r size, W), each block with those beside it."""
        x = self._cut(x, before=1, after=self.reach - 2)  # (B, H, r - 1 + n, size, W)
        return self._fold(ops.concatenate([x[:, :, i : i + self.blocks] for i in range(self.reach)], axis=3))

    def unfold(self, x: Any) -> Any:
        """(B n, H, size, V) -> (B, H, T, V)."""
        _, heads, size, width = ops.shape(x)
        x = ops.transpose(ops.reshape(x, (-1, self.blocks, heads, size, width)), (0, 2, 1, 3, 4))
        return ops.reshape(x, (-1, heads, self.blocks * size, width))[:, :, : self.length]

    def mask(self, mask: AttentionMask) -> AttentionMask:
        """The masks of the folded queries and keys; what lies before or after the sequence is closed."""
        real = ops.ones_like(self.rows[:, 0, :, 0], dtype="bool") if mask.key is None else mask.key  # (B, T)
        return dataclasses.replace(
            mask,
            query=None if mask.query is None else self._row(mask.query, self.queries),
            key=self._row(real, self.keys),
            pair=self._pair(mask.pair if mask.pair is None or len(mask.pair.shape) != 3 else mask.pair[:, None]),
            bias=self._pair(mask.bias),
            query_positions=self._row(mask.query_positions, self.queries),
            key_positions=self._row(mask.key_positions, self.keys),
            query_order=self._row(mask.query_order, self.queries),
            key_order=self._row(mask.key_order, self.keys),
            return_weights=False,
        )

    def _row(self, x: Any, fold: Any) -> Any:
        """(T,) or (B, T) -> (B n, size) or (B n, r size)."""
        x = ops.convert_to_tensor(x)
        x = ops.broadcast_to(x, (ops.shape(self.rows)[0], self.length))
        return fold(x[:, None, :, None])[:, 0, :, 0]

    def _pair(self, x: Any) -> Any:
        """Broadcastable to (B, H, T, T) -> broadcastable to (B n, H, size, r size)."""
        if x is None:
            return None
        x = ops.reshape(x, (*(1,) * (4 - len(x.shape)), *ops.shape(x)))
        shared = x.shape[2] == 1  # by all queries
        x = x[:, :, None] if shared else self._cut(x, before=0, after=0)  # (B, H, n or 1, size or 1, T)
        if x.shape[4] != 1:
            columns = ops.arange(self.blocks)[:, None] * self.size + ops.arange(self.reach * self.size) - self.size
            columns = ops.clip(columns, 0, self.length - 1)  # (n, r size); the masks of keys close what is outside
            if shared:
                x = ops.swapaxes(ops.take(x[:, :, 0], columns, axis=3), 2, 3)  # (B, H, n, 1, r size)
            else:
                columns = ops.broadcast_to(columns[:, None], (self.blocks, self.size, self.reach * self.size))
                x = ops.take_along_axis(x, columns[None, None], axis=4)  # (B, H, n, size, r size)
        batch = ops.shape(self.rows)[0]
        return self._fold(ops.broadcast_to(x, (batch, x.shape[1], self.blocks, *ops.shape(x)[3:])))

    def _cut(self, x: Any, *, before: int, after: int) -> Any:
        """(B, H, T, W) -> (B, H, before + n + after, size, W), filled up with zeros."""
        batch, heads, length, width = ops.shape(x)
        rest = self.blocks * self.size - length + after * self.size
        parts = [x, ops.zeros((batch, heads, rest, width), x.dtype)]
        if before:
            parts.insert(0, ops.zeros((batch, heads, before * self.size, width), x.dtype))
        return ops.reshape(ops.concatenate(parts, axis=2), (batch, heads, -1, self.size, width))

    def _fold(self, x: Any) -> Any:
        """(B, H, n, size, W) -> (B n, H, size, W)."""
        _, heads, _, size, width = ops.shape(x)
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3, 4)), (-1, heads, size, width))


def _rises(positions: Any, real: Any) -> Any:
    """(B or 1, T) positions, (B, T) real tokens or None -> (B or 1), whether each real token is past those before."""
    if real is None:
        return ops.all(positions[:, 1:] > positions[:, :-1], axis=1)
    numbers = ops.arange(ops.shape(real)[1])
    order = ops.argsort(ops.where(real, numbers, numbers + ops.shape(real)[1]), axis=1)  # real tokens first, as stored
    positions = ops.take_along_axis(ops.broadcast_to(positions, ops.shape(real)), order, axis=1)
    padding = ops.take_along_axis(ops.logical_not(real), order, axis=1)
    return ops.all(ops.logical_or(padding[:, 1:], positions[:, 1:] > positions[:, :-1]), axis=1)
