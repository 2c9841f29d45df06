"""Attention: project, gather every mask into one value, attend, combine.

Shapes: B batch, T query length, S key length, D width, H heads, W head width.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from suite.layers.positions import Position

_CLOSED = -1e30  # far below any score and finite, so that a row without an open key stays free of NaN


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionMask:
    """Everything that says which query may read which key, and how much it favours it, as one value.

    Booleans say True where something may be read. A field left at its default restricts nothing. A new kind of mask
    becomes a new field, so that the hooks of attention keep their signatures.

    Args:
        query: (B, T), the real positions of the query; the others read nothing.
        key: (B, S), the real positions of the key; nothing reads the others.
        pair: (T, S), (B, T, S) or (B, H, T, S), any pattern.
        causal: query t reads keys 0 to t alone; both sequences begin at position 0.
        bias: floating point, broadcastable to (B, H, T, S), added to the scores.
    """

    query: Any = None
    key: Any = None
    pair: Any = None
    causal: bool = False
    bias: Any = None

    def allowed(self, queries: int, keys: int) -> Any:
        """Lengths T and S -> booleans broadcastable to (B, H, T, S), or None where every query reads every key."""
        parts = []
        if self.query is not None:
            parts.append(ops.cast(self.query, "bool")[:, None, :, None])
        if self.key is not None:
            parts.append(ops.cast(self.key, "bool")[:, None, None, :])
        if self.pair is not None:
            pair = ops.cast(self.pair, "bool")
            parts.append(pair[:, None] if len(pair.shape) == 3 else pair)
        if self.causal:
            parts.append(ops.arange(keys)[None, :] <= ops.arange(queries)[:, None])
        allowed = None
        for part in parts:
            allowed = part if allowed is None else ops.logical_and(allowed, part)
        return allowed

    def softmax(self, scores: Any) -> Any:
        """Scores (B, H, T, S) -> weights of the same shape, in float32 at least; each row sums to 1 or is all zero.

        A row that may read nothing gets exactly zero. `softmax` belongs to whoever attends: an `attend` that uses a
        fused kernel reads `allowed` and `bias` instead.
        """
        scores = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
        if self.bias is not None:
            scores = scores + ops.cast(self.bias, scores.dtype)
        allowed = self.allowed(*ops.shape(scores)[-2:])
        if allowed is None:
            return ops.softmax(scores)
        weights = ops.softmax(ops.where(allowed, scores, ops.cast(_CLOSED, scores.dtype)))
        return ops.where(allowed, weights, ops.zeros_like(weights))


@keras.saving.register_keras_serializable(package="suite")
class MultiHeadAttention(keras.layers.Layer):
    """Self-attention or cross-attention with several heads.

    For each head, ``softmax(q k^T / sqrt(W) + bias) v`` over the keys that may be read, where q, k and v are linear
    in `query`, `key` and `value`; the heads' contexts, side by side, are projected back to the query's width.

    A variant is a subclass that overrides one of two hooks; `call` always goes through both, in every mode:

    - ``score(query, key)``: what a query thinks of a key, before masks. `attend` of this class calls it.
    - ``attend(query, key, value, mask, *, training)``: from projected heads to contexts and weights.

    Masking: all masks are boolean, True where something may be read, and meet in one `AttentionMask`. A query that
    may read nothing has weights and a context of exactly zero, so its output is the output projection's bias (zero
    with ``use_bias=False``). Scores are masked and normalised in float32 at least.

    Args:
        heads: their number, H.
        head_width: W; by default the query's width divided by `heads`.
        dropout: the fraction of weights dropped in training.
        use_bias: whether the four projections have a bias.
        position: a `Position`, which turns queries and keys or adds a bias to the scores.

    Call arguments:
        query: (B, T, D) floating point.
        key: (B, S, D_k); by default `query`, which is self-attention.
        value: (B, S, D_v); by default `key`.
        mask: (B, T) booleans, the real positions of `query`. The others read nothing and, in self-attention, are not
            read. A mask that Keras carries implicitly arrives here where `query` is the only tensor given.
        key_mask: (B, S) booleans, the real positions of `key`.
        pair_mask: (T, S), (B, T, S) or (B, H, T, S) booleans, any pattern.
        causal: whether query t may read keys 0 to t alone.
        return_weights: whether to return the weights, too.

    Returns:
        (B, T, D); with `return_weights` that and the weights (B, H, T, S), after dropout in training.

    Raises:
        ValueError: for impossible sizes, where the width is no multiple of `heads`, where `value` comes without
            `key`, and where weights are wanted of an `attend` that has none.

    Example:

    >>> import numpy as np
    >>> x = np.ones((2, 5, 8), "float32")
    >>> mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    >>> output, weights = MultiHeadAttention(2)(x, mask=mask, return_weights=True)
    >>> tuple(output.shape), tuple(weights.shape)
    ((2, 5, 8), (2, 2, 5, 5))

    Reference: Vaswani et al. 2017, section 3.2, https://arxiv.org/abs/1706.03762.
    """

    def __init__(
        self,
        heads: int,
        *,
        head_width: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        position: Position | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if heads < 1 or (head_width is not None and head_width < 1):
            raise ValueError(
                f"MultiHeadAttention expects heads and head_width of at least 1. "
                f"Received: heads={heads}, head_width={head_width}"
            )
        self.heads = heads
        self.head_width = head_width
        self.use_bias = use_bias
        self.position = Position() if position is None else position
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.supports_masking = True

    def build(self, query_shape: Any, key_shape: Any = None, value_shape: Any = None) -> None:
        """Make the four projections for inputs of these shapes."""
        key_shape = query_shape if key_shape is None else key_shape
        value_shape = key_shape if value_shape is None else value_shape
        width = query_shape[-1]
        if self.head_width is None and width % self.heads:
            raise ValueError(
                f"MultiHeadAttention expects a width that heads={self.heads} divide, or a head_width. "
                f"Received: query of shape {tuple(query_shape)}"
            )
        head_width = self.head_width or width // self.heads
        shapes = {"query": query_shape, "key": key_shape, "value": value_shape}
        for name, shape in shapes.items():
            setattr(self, f"{name}_projection", self._projection(name, self.heads * head_width, shape))
        inner = (*query_shape[:-1], self.heads * head_width)
        self.output_projection = self._projection("output", width, inner)
        if not self.position.built:  # it may be shared
            self.position.build((query_shape[0], self.heads, query_shape[1], head_width))

    def _projection(self, name: str, width: int, shape: Any) -> keras.layers.Dense:
        layer = keras.layers.Dense(width, use_bias=self.use_bias, dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer

    def call(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        *,
        mask: Any = None,
        key_mask: Any = None,
        pair_mask: Any = None,
        causal: bool = False,
        return_weights: bool = False,
        training: bool | None = None,
    ) -> Any:
        if key is None and value is not None:
            raise ValueError("MultiHeadAttention expects a key where it gets a value. Received: key=None")
        key_mask = _both(mask, key_mask) if key is None else key_mask
        key = query if key is None else key
        value = key if value is None else value
        q = self.position.rotate(self._split(self.query_projection(query)))  # (B, H, T, W)
        k = self.position.rotate(self._split(self.key_projection(key)))  # (B, H, S, W)
        v = self._split(self.value_projection(value))  # (B, H, S, W)
        bias = self.position.bias(ops.shape(q)[2], ops.shape(k)[2])
        gathered = AttentionMask(query=mask, key=key_mask, pair=pair_mask, causal=causal, bias=bias)
        context, weights = self.attend(q, k, v, gathered, training=training)
        output = self.output_projection(self._join(context))  # (B, T, D)
        if not return_weights:
            return output
        if weights is None:
            raise ValueError(f"{type(self).__name__}.attend has no weights to return. Received: return_weights=True")
        return output, weights

    def score(self, query: Any, key: Any) -> Any:
        """A hook. Projected queries (B, H, T, W) and keys (B, H, S, W) -> scores (B, H, T, S), before any mask."""
        # Scaled before the product, which float16 might not hold.
        query = query * ops.cast(query.shape[-1] ** -0.5, query.dtype)
        return ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))

    def attend(self, query: Any, key: Any, value: Any, mask: AttentionMask, *, training: bool | None) -> Any:
        """A hook. Queries (B, H, T, W), keys and values (B, H, S, W) -> contexts (B, H, T, W), weights (B, H, T, S).

        The weights may be None where an override never has them. An override answers for the whole of `mask`.
        """
        weights = self.dropout(mask.softmax(self.score(query, key)), training=training)  # (B, H, T, S)
        return ops.matmul(ops.cast(weights, value.dtype), value), weights  # (B, H, T, W)

    def _split(self, x: Any) -> Any:
        batch, length, width = ops.shape(x)
        x = ops.reshape(x, (batch, length, self.heads, width // self.heads))  # (B, T, H, W)
        return ops.transpose(x, (0, 2, 1, 3))  # (B, H, T, W)

    def _join(self, x: Any) -> Any:
        batch, heads, length, width = ops.shape(x)
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, length, heads * width))  # (B, T, H * W)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_width": self.head_width,
            "dropout": self.dropout.rate,
            "use_bias": self.use_bias,
            "position": keras.saving.serialize_keras_object(self.position),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MultiHeadAttention:
        position = keras.saving.deserialize_keras_object(config["position"])
        return super().from_config({**config, "position": position})


def _both(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    return ops.logical_and(ops.cast(first, "bool"), ops.cast(second, "bool"))
