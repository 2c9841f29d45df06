"""Relative attention: scores that know the distance of query and key, and what the query makes of it.

Shapes: B batch, T query length, S key length, D width, H heads, W head width, P width of a distance's sinusoid.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask
from suite.layers.positions import per_row

_WAVELENGTH = 10_000.0


@keras.saving.register_keras_serializable(package="suite")
class RelativeAttention(MultiHeadAttention):
    """Attention whose score is ``scale ((q_i + u) k_j + (q_i + v) W_r r_{i - j})``.

    r is the sinusoid of the distance from key j to query i, W_r a learned projection for each head, and the learned
    vectors u and v say how much content and distance count whatever the query. Directions differ: r's sines are odd.

    The second term needs no table of distances. As ``sin(a - b) = sin a cos b - cos a sin b``, it is a product of two
    vectors of P numbers, one for the query and its position and one for the key's. So any positions will do, packed
    ones and those of a cache; memory is that of (B, H, T, S) and (B, H, T, P), and the term costs P / W times the
    first. It is computed in float32 and added as a bias is, after a soft cap. For learned buckets of distance see
    `RelativeBias`.

    Masking: as `MultiHeadAttention`.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.
        project: whether W_r is learned and P is the query's width (rounded up to even), as in Transformer-XL. If not,
            the query meets the sinusoid itself and P is W, as in TENER, which also has ``scale=1.0``.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention`, and for an odd head width without a projection.

    Example:

    >>> import numpy as np
    >>> output, weights = RelativeAttention(2)(np.ones((3, 5, 8), "float32"), return_weights=True)
    >>> tuple(output.shape), tuple(weights.shape)
    ((3, 5, 8), (3, 2, 5, 5))

    Reference: Dai et al. 2019, Transformer-XL, section 3.3, https://arxiv.org/abs/1901.02860; Yan et al. 2019, TENER,
    section 3.2, https://arxiv.org/abs/1911.04474. Differs from the papers: u and v begin at zero; TENER's keys, which
    it leaves unprojected, are projected.
    """

    def __init__(self, heads: int, *, project: bool = True, **kwargs: Any) -> None:
        super().__init__(heads, **kwargs)
        self.project = project

    def build(self, query_shape: Any, key_shape: Any = None, value_shape: Any = None) -> None:
        """Make the projections, u and v (H, W), and W_r (H, W, P)."""
        super().build(query_shape, key_shape, value_shape)
        width = self.head_width or query_shape[-1] // self.heads
        if not self.project and width % 2:
            raise ValueError(
                f"{type(self).__name__} expects an even head width without a projection. Received: head width {width}"
            )
        self.content_bias = self.add_weight(name="content_bias", shape=(self.heads, width), initializer="zeros")
        self.position_bias = self.add_weight(name="position_bias", shape=(self.heads, width), initializer="zeros")
        if self.project:
            shape = (self.heads, width, query_shape[-1] + query_shape[-1] % 2)
            self.position_projection = self.add_weight(name="position_projection", shape=shape)

    def weigh(self, query: Any, key: Any, mask: AttentionMask) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W) -> weights (B, H, T, S)."""
        distance = self._distance_scores(query, mask)
        bias = distance if mask.bias is None else distance + ops.cast(mask.bias, distance.dtype)
        query = query + ops.cast(self.content_bias, query.dtype)[:, None]
        return super().weigh(query, key, dataclasses.replace(mask, bias=bias))

    def _distance_scores(self, query: Any, mask: AttentionMask) -> Any:
        wide = keras.backend.result_type(query.dtype, "float32")
        query = ops.cast(query, wide) + ops.cast(self.position_bias, wide)[:, None]  # (B, H, T, W)
        query = query * (query.shape[-1] ** -0.5 if self.scale is None else self.scale)
        if self.project:
            query = ops.einsum("bhtw,hwp->bhtp", query, ops.cast(self.position_projection, wide))
        sine, cosine = ops.split(query, 2, axis=-1)  # what the query makes of each half of r: (B, H, T, P / 2)
        sin, cos = _sinusoid(mask.query_positions, query.shape[-1], wide)  # (B or 1, 1, T, P / 2)
        left = ops.concatenate([sine * sin + cosine * cos, cosine * sin - sine * cos], axis=-1)  # (B, H, T, P)
        sin, cos = _sinusoid(mask.key_positions, query.shape[-1], wide)  # (B or 1, 1, S, P / 2)
        right = ops.concatenate([cos, sin], axis=-1)[:, 0]  # (B or 1, S, P)
        # Not a product that broadcasts one matrix over rows of one head: TensorFlow's kernel for it corrupts memory.
        if right.shape[0] == 1:
            return ops.einsum("bhtp,sp->bhts", left, right[0])
        return ops.einsum("bhtp,bsp->bhts", left, right)  # (B, H, T, S)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "project": self.project}


def _sinusoid(positions: Any, width: int, dtype: str) -> tuple[Any, Any]:
    """Positions (T,) or (B, T) -> sines and cosines, (B or 1, 1, T, P / 2) each."""
    frequencies = _WAVELENGTH ** (-ops.arange(0, width, 2, dtype=dtype) / width)  # (P / 2)
    angles = ops.cast(per_row(positions), dtype)[:, None, :, None] * frequencies
    return ops.sin(angles), ops.cos(angles)
