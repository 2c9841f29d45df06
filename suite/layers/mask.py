"""Everything that says which query may read which key, and how much it favours it, as one value.

Shapes: B batch, T query length, S key length, H heads.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from suite.layers.positions import Position, per_row

_CLOSED = -1e30  # far below any score and finite, so that a row without an open key stays free of NaN
_FLOAT16_MAX = 65504.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionMask:
    """What `MultiHeadAttention.call` gathers for its hooks.

    Booleans say True where something may be read. A field left at None restricts nothing. A new kind of mask becomes
    a new field, so that the hooks of attention keep their signatures.

    Args:
        query: (B, T), the real positions of the query; the others read nothing.
        key: (B, S), the real positions of the key; nothing reads the others.
        pair: (T, S), (B, T, S) or (B, H, T, S), any pattern.
        causal: a query reads only keys that do not come after it in `query_order` and `key_order`.
        window: a query reads only keys fewer than so many positions away, on either side.
        bias: floating point, broadcastable to (B, H, T, S), added to the scores; minus infinity closes.
        position: a scheme whose `bias` is added, too. It is asked where scores are, block by block if need be.
        query_positions: integers, (T,) or (B, T), where queries stand; distances are taken from positions.
        key_positions: integers, (S,) or (B, S).
        query_order: integers, (T,) or (B, T), the order of storage, which `causal` goes by. It differs from positions
            where sequences are packed into one row, each counted from 0.
        key_order: integers, (S,) or (B, S).
        return_weights: whether the weights are wanted; where they are not, `attend` may give None in their place.
    """

    query: Any = None
    key: Any = None
    pair: Any = None
    causal: bool = False
    window: int | None = None
    bias: Any = None
    position: Position | None = None
    query_positions: Any
    key_positions: Any
    query_order: Any
    key_order: Any
    return_weights: bool = True

    @classmethod
    def between(cls, queries: int, keys: int, **fields: Any) -> AttentionMask:
        """The mask of T queries and S keys that both count from 0, with any other fields."""
        query, key = ops.arange(queries), ops.arange(keys)
        places = {"query_positions": query, "key_positions": key, "query_order": query, "key_order": key}
        return cls(**{**places, **fields})

    def allowed(self) -> Any:
        """Booleans broadcastable to (B, H, T, S), or None where every query reads every key."""
        keys = self._keys()
        if self.query is None:
            return keys
        real = self.query[:, None, :, None]
        return real if keys is None else ops.logical_and(real, keys)

    def scores_bias(self) -> Any:
        """What is added to the scores: float32, broadcastable to (B, H, T, S); or None."""
        parts = [] if self.bias is None else [ops.maximum(ops.cast(self.bias, "float32"), _CLOSED)]
        if self.position is not None:
            bias = self.position.bias(self.query_positions, self.key_positions)
            parts += [] if bias is None else [bias]
        return sum(parts[1:], start=parts[0]) if parts else None

    def apply(self, scores: Any) -> Any:
        """Scores (B, H, T, S) -> the same in float32 at least, with the bias, and -1e30 where nothing may be read."""
        scores = self._biased(scores)
        allowed = self.allowed()
        return scores if allowed is None else ops.where(allowed, scores, ops.cast(_CLOSED, scores.dtype))

    def softmax(self, scores: Any) -> Any:
        """Scores (B, H, T, S) -> weights of the same shape, in float32 at least; each row sums to 1 or is all zero.

        A row that may read nothing gets exactly zero. `softmax` belongs to whoever attends: an `attend` that uses a
        kernel of its own answers for `allowed` and `scores_bias` itself.
        """
        scores, readable = self._closed(scores)
        return _softmax(scores) if readable is None else _closed_softmax(scores, readable)

    def dropped_product(self, scores: Any, value: Any, *, keep: Any, rate: float) -> Any:
        """``dropout(softmax(scores)) value``, with a gradient that holds one tensor of the size of the scores.

        Args:
            scores: (B, H, T, S).
            value: (B, H, S, V).
            keep: (B, H, T, S) booleans, False where a weight is dropped.
            rate: the probability of that, by which the others are scaled up.

        Returns:
            Contexts (B, H, T, V), in the type of the values.
        """
        scores, readable = self._closed(scores)
        readable = ops.ones((), scores.dtype) if readable is None else readable
        return _dropped_product(rate)(scores, readable, keep, value)

    def _closed(self, scores: Any) -> tuple[Any, Any]:
        """Scores with all that is closed at -1e30, and which rows may read anything, as `_closed_softmax` takes it.

        The latter is None where all may.
        """
        scores = self._biased(scores)
        keys = self._keys()  # the query's own mask closes whole rows, which is cheaper done afterwards
        rows = [] if self.query is None else [self.query[:, None, :, None]]
        if keys is not None:
            # A sum costs less than a choice, and its gradient nothing; exp makes exactly zero of what it closes.
            scores = scores + ops.where(keys, ops.cast(0.0, scores.dtype), ops.cast(_CLOSED, scores.dtype))
            rows.append(ops.any(keys, axis=-1, keepdims=True))
        return scores, ops.cast(functools.reduce(ops.logical_and, rows), scores.dtype) if rows else None

    def block(self, *, queries: tuple[Any, int] | None = None, keys: tuple[Any, int] | None = None) -> AttentionMask:
        """The part that belongs to a rectangle of queries and keys.

        Args:
            queries: the first one, which may be a tensor, and their number; by default all.
            keys: likewise.
        """
        changes: dict[str, Any] = {}
        for axis, span, side in ((-2, queries, "query"), (-1, keys, "key")):
            if span is None:
                continue
            numbers = span[0] + ops.arange(span[1])
            for field in (side, f"{side}_positions", f"{side}_order"):
                changes[field] = _take(getattr(self, field), numbers, -1)
            for field in ("pair", "bias"):
                changes[field] = _take(changes.get(field, getattr(self, field)), numbers, axis)
        return dataclasses.replace(self, **changes)

    def _keys(self) -> Any:
        """`allowed` without the query's own mask."""
        parts = []
        if self.key is not None:
            parts.append(self.key[:, None, None, :])
        if self.pair is not None:
            parts.append(self.pair[:, None] if len(self.pair.shape) == 3 else self.pair)
        if self.causal:
            parts.append(_difference(self.query_order, self.key_order) >= 0)
        if self.window is not None:
            parts.append(ops.abs(_difference(self.query_positions, self.key_positions)) < self.window)
        if self.bias is not None:
            parts.append(self.bias > _CLOSED)
        return functools.reduce(ops.logical_and, parts) if parts else None

    def _biased(self, scores: Any) -> Any:
        half = keras.backend.standardize_dtype(scores.dtype) == "float16"
        scores = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
        if half:  # a product that float16 could not hold came out infinite
            scores = ops.clip(scores, -_FLOAT16_MAX, _FLOAT16_MAX)
        bias = self.scores_bias()
        return scores if bias is None else scores + ops.cast(bias, scores.dtype)


def _softmax(scores: Any) -> Any:
    """`ops.softmax` without its warning where there is one key, as in the first step with a cache."""
    return ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores)


def _closed_softmax(scores: Any, readable: Any) -> Any:
    """Weights (B, H, T, S), zero in rows that are not readable, (B, 1, T or 1, 1) of 0 and 1 in the scores' type.

    The gradient is its own: where weights are zero already, it need not be multiplied with `readable` again.
    """

    @ops.custom_gradient
    def softmax(scores: Any, readable: Any) -> tuple[Any, Callable[..., Any]]:
        weights = _softmax(scores) * readable

        def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, Any]:
            product = (arguments[0] if upstream is None else upstream) * weights
            return product - weights * ops.sum(product, axis=-1, keepdims=True), ops.zeros_like(readable)

        return weights, gradient

    if isinstance(scores, keras.KerasTensor):  # of which a functional model is made outside a layer
        return _softmax(scores) * readable
    return softmax(scores, readable)


def _dropped_product(rate: float) -> Callable[..., Any]:
    """A function from scores, what is readable, or a scalar, what is kept, and values to contexts (B, H, T, V).

    Derived from the operations, the gradient would hold the weights before and after dropout, and what they were
    multiplied with. This one holds the weights alone, with the sign of those that were dropped turned. It needs no sum
    over the weights' gradients either: for each query that is the product of its context and the context's gradient.
    """

    @ops.custom_gradient
    def product(scores: Any, readable: Any, keep: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
        weights = _softmax(scores) * readable if len(readable.shape) else _softmax(scores)
        signed = ops.where(keep, weights, -weights)  # (B, H, T, S)
        scale = ops.cast(1 / (1 - rate), value.dtype)
        context = ops.matmul(ops.cast(ops.relu(signed), value.dtype), value) * scale  # (B, H, T, V)

        def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, Any, Any, Any]:
            upstream = arguments[0] if upstream is None else upstream  # (B, H, T, V)
            product = ops.cast(upstream, scores.dtype) * ops.cast(context, scores.dtype)  # (B, H, T, V)
            share = ops.sum(product, axis=-1, keepdims=True)  # (B, H, T, 1)
            upstream = upstream * scale
            kept = ops.maximum(signed, 0)  # said otherwise than above, lest TensorFlow hold on to that
            dvalue = ops.matmul(ops.swapaxes(ops.cast(kept, value.dtype), -1, -2), upstream)
            slope = ops.cast(ops.matmul(upstream, ops.swapaxes(value, -1, -2)), scores.dtype)  # (B, H, T, S)
            return kept * slope - ops.abs(signed) * share, ops.zeros_like(readable), ops.zeros_like(keep), dvalue

        return context, gradient

    return product


def _difference(queries: Any, keys: Any) -> Any:
    """(T,) or (B, T), (S,) or (B, S) -> query minus key, (B or 1, 1, T, S)."""
    return (per_row(queries)[:, :, None] - per_row(keys)[:, None, :])[:, None]


def _take(x: Any, numbers: Any, axis: int) -> Any:
    """The numbered entries of an axis; of an axis that only broadcasts, that one entry."""
    if x is None or len(x.shape) < -axis or (x.shape[axis] == 1 and axis != -1):
        return x
    return ops.take(x, numbers, axis=axis)
