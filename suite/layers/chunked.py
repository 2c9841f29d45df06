"""Chunked attention: exact softmax attention, block by block, in memory that grows with the length and not its square.

Shapes: B batch, T query length, S key length, H heads, W head width, V value head width; c queries and d keys a block.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_sizes
from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask

_LOWEST = -1e29  # a running maximum's start: below all scores, above what a mask closes, which so becomes exp(-inf) = 0


@keras.saving.register_keras_serializable(package="suite")
class ChunkedAttention(MultiHeadAttention):
    """`MultiHeadAttention` in O(T + S) memory: the same outputs, without ever holding T x S scores.

    A block of queries goes through the blocks of keys with a running maximum m of its scores, the sum of ``exp(score -
    m)`` and the sum of ``exp(score - m) v``, which are scaled down whenever m grows; their quotient is the context.
    Gradients compute a block of queries again instead of keeping its scores, so training is linear in memory, too.

    Masking: as `MultiHeadAttention`; masks, position biases and an override of `score` are asked for each block. A
    subclass that overrides `weigh` needs all scores of a row and is left to `MultiHeadAttention`. Weights exist only
    on request (`return_weights`, `capture_attention`), all T x S, and without dropout. What has no more scores than a
    block, such as a step with a cache, is left to `MultiHeadAttention`, too.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.
        chunk: how many queries, and how many keys, a block has at most.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention`, and for a chunk below 1.

    Example:

    >>> import numpy as np
    >>> tuple(ChunkedAttention(2, chunk=16)(np.ones((2, 50, 8), "float32"), causal=True).shape)
    (2, 50, 8)

    Reference: Milakov and Gimelshein 2018, algorithm 3, https://arxiv.org/abs/1805.02867; Rabe and Staats 2021,
    https://arxiv.org/abs/2112.05682.
    """

    def __init__(self, heads: int, *, chunk: int = 256, **kwargs: Any) -> None:
        super().__init__(heads, **kwargs)
        check_sizes(self, chunk=chunk)
        self.chunk = chunk

    def attend(self, query: Any, key: Any, value: Any, mask: AttentionMask, *, training: bool | None) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W), values (B, H, S, V) -> contexts (B, H, T, V), no weights."""
        length, keys = ops.shape(query)[2], ops.shape(key)[2]
        known = isinstance(length, int) and isinstance(keys, int)
        # Lengths that are no numbers can be looped over on TensorFlow; JAX has them for the inference of shapes alone.
        small = length * keys <= self.chunk**2 if known else keras.backend.backend() != "tensorflow"
        if small or type(self).weigh is not MultiHeadAttention.weigh:
            return super().attend(query, key, value, mask, training=training)
        size = _smaller(self.chunk, length)
        blocks = -(-length // size)
        noise = self._noise(query, key) if training and self.dropout.rate else None
        biases = () if mask.bias is None else (mask.bias,)

        def rows(i: Any, q: Any, k: Any, v: Any, *biases: Any) -> Any:
            part = dataclasses.replace(mask, bias=biases[0]) if biases else mask
            return self._rows(i, size, q, k, v, part, noise)

        def block(i: Any) -> Any:
            return _remat(lambda *tensors: rows(i, *tensors), self.variables)(query, key, value, *biases)

        contexts = ops.map(block, ops.arange(blocks))  # (blocks, B, H, c, V)
        _, batch, heads, _, width = ops.shape(contexts)
        contexts = ops.reshape(ops.transpose(contexts, (1, 2, 0, 3, 4)), (batch, heads, blocks * size, width))
        again = blocks * size - length  # rows of the last block that are those of the one before
        last = (blocks - 1) * size
        return ops.concatenate([contexts[:, :, :last], contexts[:, :, last + again :]], axis=2), None

    def _rows(self, i: Any, size: Any, query: Any, key: Any, value: Any, mask: AttentionMask, noise: Any) -> Any:
        """Block i of the queries -> its contexts, (B, H, c, V)."""
        first = ops.minimum(i * size, ops.shape(query)[2] - size)  # the last block reaches back, so that it is full
        query = _slice(query, first, size)  # (B, H, c, W)
        mask = mask.block(queries=(first, size))
        keys = ops.shape(key)[2]
        width = _smaller(self.chunk, keys)
        wide = keras.backend.result_type(query.dtype, "float32")
        overlap = not isinstance(keys, int) or keys % width != 0  # the last block reaches back into the one before
        half = keras.backend.standardize_dtype(value.dtype) == "float16"  # whose range a sum may leave

        def add(j: Any, highest: Any, total: Any, context: Any) -> tuple[Any, Any, Any]:
            start = ops.minimum(j * width, keys - width)
            scores = mask.block(keys=(start, width)).apply(self.logits(query, _slice(key, start, width)))
            if overlap:
                scores = ops.where(
                    start + ops.arange(width) >= j * width, scores, ops.cast(-1e30, wide)
                )  # (B, H, c, d)
            # The result is the same whatever is subtracted, so no gradient goes through it.
            top = ops.stop_gradient(ops.maximum(highest, ops.max(scores, axis=-1, keepdims=True)))  # (B, H, c, 1)
            weights, shrink = ops.exp(scores - top), ops.exp(highest - top)
            total = total * shrink + ops.sum(weights, axis=-1, keepdims=True)
            if noise is not None:
                weights = self._drop(weights, _slice(noise[0], first, size), _slice(noise[1], start, width))
            part = _slice(value, start, width)
            part = (
                ops.matmul(weights, ops.cast(part, wide)) if half else ops.matmul(ops.cast(weights, part.dtype), part)
            )
            return top, total, context * shrink + ops.cast(part, wide)

        zeros = ops.cast(ops.zeros_like(query[..., :1]), wide)  # (B, H, c, 1)
        none = zeros * ops.cast(ops.zeros_like(value[:, :, :1]), wide)  # (B, H, c, V)
        _, total, context = _loop(-(-keys // width), add, (zeros + _LOWEST, zeros, none))
        return ops.cast(context / ops.where(total > 0, total, ops.ones_like(total)), value.dtype)

    def _noise(self, query: Any, key: Any) -> tuple[Any, Any]:
        """Random numbers for rows (B, H, T, 1) and columns (1, 1, S, 1): a pair of them decides on a weight.

        Drawn once and linear in memory, so that a block computed again drops the same weights.
        """
        batch, heads, queries, _ = ops.shape(query)
        shapes = (batch, heads, queries, 1), (1, 1, ops.shape(key)[2], 1)
        rows, columns = (
            ops.cast(keras.random.randint(s, -(2**31), 2**31 - 1, seed=self.dropout.seed_generator), "int32")
            for s in shapes
        )
        return rows, columns

    def _drop(self, weights: Any, rows: Any, columns: Any) -> Any:
        """Weights (B, H, c, d) without those that the numbers of their row and column drop, the others scaled up."""
        rate = self.dropout.rate
        drawn = _mix(ops.bitwise_xor(rows, ops.swapaxes(columns, -1, -2)))  # (B, H, c, d)
        kept = drawn >= int(rate * 2**32) - 2**31
        return ops.where(kept, weights / (1.0 - rate), ops.zeros_like(weights))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "chunk": self.chunk}


def _smaller(chunk: int, length: Any) -> Any:
    return min(chunk, length) if isinstance(length, int) else ops.minimum(chunk, length)


def _slice(x: Any, start: Any, size: Any) -> Any:
    """(B, H, T, W) -> (B, H, size, W) from a row on that may be a tensor."""
    batch, heads, _, width = ops.shape(x)
    return ops.slice(x, (0, 0, start, 0), (batch, heads, size, width))


def _mix(x: Any) -> Any:
    """int32 -> int32 that look random, equal for equal ones: the 32-bit finalizer of MurmurHash3."""
    for shift, factor in ((16, -2048144789), (13, -1028477387), (16, 1)):
        high = ops.bitwise_and(ops.right_shift(x, shift), 2 ** (32 - shift) - 1)  # without copies of the sign
        x = ops.bitwise_xor(x, high) * factor
    return x


def _loop(count: Any, body: Callable[..., tuple[Any, ...]], start: tuple[Any, ...]) -> tuple[Any, ...]:
    """``state = body(i, *state)`` for each i below a count, with gradients also where it is compiled."""
    if keras.backend.backend() != "tensorflow":  # a loop with a condition has no gradient on JAX
        return ops.fori_loop(0, count, lambda i, state: body(i, *state), start)
    _, *state = ops.while_loop(
        lambda i, *state: i < count,
        lambda i, *state: (i + 1, *body(i, *state)),
        (0, *start),
        maximum_iterations=count,  # without it XLA has no gradient
    )
    return tuple(state)


def _remat(function: Callable[..., Any], variables: list[Any]) -> Callable[..., Any]:
    """A function of tensors that is computed again for its gradient.

    TensorFlow loses the gradient of variables that such a function reads inside a loop, so they become arguments.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.remat(function)
    read = [v for v in variables if "float" in v.dtype]
    values = [ops.copy(v) for v in read]

    def stateless(*arguments: Any) -> Any:
        given, values = arguments[: len(arguments) - len(read)], arguments[len(arguments) - len(read) :]
        with keras.StatelessScope(state_mapping=list(zip(read, values, strict=True))):
            return function(*given)

    again = keras.remat(stateless)
    return lambda *arguments: again(*arguments, *values)
