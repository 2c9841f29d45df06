"""Linear attention: a feature map in place of the softmax, so that memory grows with T and not with T x S.

Shapes: B batch, T query length, S key length, H heads, W head width, V value head width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask
from suite.layers.positions import Position

_BLOCK = 128  # queries whose weights on one another are made; states between blocks are sums
_FLOOR = 1e-6  # below any feature, so that a query which points away from all keys has weights


@keras.saving.register_keras_serializable(package="suite")
class LinearAttention(MultiHeadAttention):
    """Attention whose weights are ``f(q_i) . f(k_j)``, divided by their sum over the keys.

    As the sum over keys comes first, ``f(q_i) sum_j f(k_j) v_j^T``, time and memory grow with T + S. Causal
    attention adds up the states ``f(k) v^T`` block by block, O(T W V / 128) numbers. Features and sums are float32.

    Masking: masks of queries and keys and `causal`. What would change single weights is not possible: a pair mask, a
    bias, a window, a position with a bias, a soft cap, a `scale`, another `score`. `Rotary` turns queries and keys in
    front of the feature map. Where single weights are asked for they are made, T x S of them: by `return_weights`,
    `capture_attention`, dropout in training, and a causal step with a cache, in which T is small.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.
        feature_map: f, elementwise and never negative: "elu" is ``elu(x) + 1``; else the name of a Keras activation,
            such as "softplus", or a function. A feature is at least 1e-6.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`; a row of weights sums to 1, or is zero where nothing may be read.

    Raises:
        ValueError: as `MultiHeadAttention`, and for what is not possible.

    Example:

    >>> import keras, numpy as np
    >>> output, weights = LinearAttention(2)(np.ones((3, 5, 8), "float32"), causal=True, return_weights=True)
    >>> print(keras.ops.convert_to_numpy(weights)[0, 0, 2].round(2))
    [0.33 0.33 0.33 0.   0.  ]

    Reference: Katharopoulos et al. 2020, https://arxiv.org/abs/2006.16236. Differs from the paper: the floor of the
    features; RoFormer (https://arxiv.org/abs/2104.09864, section 3.3) turns features rather than what they are of.
    """

    def __init__(self, heads: int, *, feature_map: str | Callable[[Any], Any] = "elu", **kwargs: Any) -> None:
        super().__init__(heads, **kwargs)
        given: dict[str, Any] = {"window": self.window, "soft_cap": self.soft_cap, "scale": self.scale}
        if self.position is not None and type(self.position).bias is not Position.bias:
            given["position"] = self.position
        if type(self).score is not MultiHeadAttention.score:
            given["score"] = type(self).score
        self._refuse(given)
        self.feature_map = feature_map
        self._map = _elu if feature_map == "elu" else keras.activations.get(feature_map)

    takes_pair_mask = False

    def weigh(self, query: Any, key: Any, mask: AttentionMask) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W) -> weights (B, H, T, S)."""
        self._refuse({"pair_mask": mask.pair, "bias": mask.bias})
        weights = ops.matmul(self._features(query), ops.swapaxes(self._features(key), -1, -2))  # (B, H, T, S)
        allowed = mask.allowed()
        weights = weights if allowed is None else ops.where(allowed, weights, ops.zeros_like(weights))
        return _divide(weights, ops.sum(weights, axis=-1, keepdims=True))

    def attend(self, query: Any, key: Any, value: Any, mask: AttentionMask, *, training: bool | None) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W), values (B, H, S, V) -> contexts (B, H, T, V), no weights."""
        overridden = type(self).weigh is not LinearAttention.weigh
        ordered = mask.query_order is mask.key_order  # self-attention without a cache
        if overridden or (training and self.dropout.rate) or (mask.causal and not ordered):
            return super().attend(query, key, value, mask, training=training)
        self._refuse({"pair_mask": mask.pair, "bias": mask.bias})
        q, k = self._features(query), self._features(key)
        if mask.key is not None:
            k = ops.where(mask.key[:, None, :, None], k, ops.zeros_like(k))
        v = ops.cast(value, k.dtype)
        v = ops.concatenate([v, ops.ones_like(v[..., :1])], axis=-1)  # (B, H, S, V + 1), the last sums weights
        total = _causal_sums(q, k, v) if mask.causal else ops.matmul(q, ops.matmul(ops.swapaxes(k, -1, -2), v))
        context = _divide(*ops.split(total, [value.shape[-1]], axis=-1))  # (B, H, T, V)
        if mask.query is not None:
            context = ops.where(mask.query[:, None, :, None], context, ops.zeros_like(context))
        return ops.cast(context, value.dtype), None

    def _features(self, x: Any) -> Any:
        wide = keras.backend.result_type(x.dtype, "float32")
        return ops.maximum(self._map(ops.cast(x, wide)), _FLOOR)

    def _refuse(self, given: dict[str, Any]) -> None:
        if any(value is not None for value in given.values()):
            names = ", ".join(name for name, value in given.items() if value is not None)
            raise ValueError(
                f"{type(self).__name__} expects nothing that changes single weights, which it never makes. "
                f"Received: {names}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_map": keras.saving.serialize_keras_object(self.feature_map)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        feature_map = config["feature_map"]
        if not isinstance(feature_map, str):
            feature_map = keras.saving.deserialize_keras_object(feature_map)
        return super().from_config({**config, "feature_map": feature_map})


def _elu(x: Any) -> Any:
    return ops.elu(x) + 1.0


def _divide(x: Any, by: Any) -> Any:
    """The quotient, and zero where nothing was summed."""
    return x / ops.where(by > 0, by, ops.ones_like(by))


def _causal_sums(query: Any, key: Any, value: Any) -> Any:
    """Features (B, H, T, W) twice, values (B, H, T, V) -> sums over the keys up to each query, (B, H, T, V)."""
    batch, heads, length, _ = ops.shape(query)
    blocks = -(-length // _BLOCK)

    def split(x: Any) -> Any:
        rest = ops.zeros((batch, heads, blocks * _BLOCK - length, x.shape[-1]), x.dtype)
        x = ops.concatenate([x, rest], axis=2)
        return ops.reshape(x, (batch, heads, blocks, _BLOCK, x.shape[-1]))  # (B, H, N, 128, W)

    query, key, value = split(query), split(key), split(value)
    turned = ops.swapaxes(key, -1, -2)  # (B, H, N, W, 128)
    states = ops.cumsum(ops.matmul(turned, value), axis=2)  # (B, H, N, W, V), each with its own block
    states = ops.concatenate([ops.zeros_like(states[:, :, :1]), states[:, :, :-1]], axis=2)  # without it
    inside = ops.tril(ops.matmul(query, turned))  # (B, H, N, 128, 128)
    sums = ops.matmul(query, states) + ops.matmul(inside, value)  # (B, H, N, 128, V)
    return ops.reshape(sums, (batch, heads, blocks * _BLOCK, value.shape[-1]))[:, :, :length]
