"""Additive attention: a query and a key meet in a small network rather than in a product.

Shapes: B batch, T query length, S key length, H heads, W head width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.attention import MultiHeadAttention


@keras.saving.register_keras_serializable(package="suite")
class AdditiveAttention(MultiHeadAttention):
    """Attention whose score is ``v . tanh(q + k)``, with a learned vector v for each head.

    Everything but the score is `MultiHeadAttention`'s: masks, positions, grouped keys, dropout, the cache. Memory is
    that of (B, H, T, S, W), W times a product's; a subclass of this and of `ChunkedAttention`, in this order, bounds
    it.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s. `scale`, what scores are multiplied
            by, is 1 by default.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention`.

    Example:

    >>> import numpy as np
    >>> output, weights = AdditiveAttention(2)(np.ones((3, 5, 8), "float32"), return_weights=True)
    >>> tuple(output.shape), tuple(weights.shape)
    ((3, 5, 8), (3, 2, 5, 5))

    Reference: Bahdanau et al. 2015, appendix A.1.2, https://arxiv.org/abs/1409.0473. Differs from the paper: several
    heads, a projection of the values, and an output projection.
    """

    def build(self, query_shape: Any, key_shape: Any = None, value_shape: Any = None) -> None:
        """Make the projections and the vectors v, (H, W)."""
        super().build(query_shape, key_shape, value_shape)
        width = self.head_width or query_shape[-1] // self.heads
        self.score_vector = self.add_weight(name="score_vector", shape=(self.heads, width))

    def score(self, query: Any, key: Any) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W) -> scores (B, H, T, S)."""
        meeting = ops.tanh(query[:, :, :, None] + key[:, :, None])  # (B, H, T, S, W)
        scores = ops.einsum("bhtsw,hw->bhts", meeting, ops.cast(self.score_vector, query.dtype))
        return scores if self.scale is None else scores * ops.cast(self.scale, scores.dtype)
