"""Talking-heads attention: heads mix their scores before the softmax and their weights after it.

Shapes: B batch, T query length, S key length, H heads, W head width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask


@keras.saving.register_keras_serializable(package="suite")
class TalkingHeadsAttention(MultiHeadAttention):
    """Attention whose heads talk: ``weights = mix_after(softmax(mix_before(scores)))``.

    Both mixtures are learned (H, H) matrices that begin as the identity, at which this is plain attention. Masks and
    biases act on the mixed scores, and what a head may not read stays closed to it after the second mixture, too; the
    weights of a row need not sum to 1. Memory is that of (B, H, T, S), as `MultiHeadAttention`'s.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention`.

    Example:

    >>> import numpy as np
    >>> output, weights = TalkingHeadsAttention(2)(np.ones((3, 5, 8), "float32"), return_weights=True)
    >>> tuple(output.shape), tuple(weights.shape)
    ((3, 5, 8), (3, 2, 5, 5))

    Reference: Shazeer et al. 2020, https://arxiv.org/abs/2003.02436. Differs from the paper: the mixtures begin as the
    identity, and all three numbers of heads are H.
    """

    def build(self, query_shape: Any, key_shape: Any = None, value_shape: Any = None) -> None:
        """Make the projections and the two mixtures."""
        super().build(query_shape, key_shape, value_shape)
        shape = (self.heads, self.heads)
        self.mix_before = self.add_weight(name="mix_before", shape=shape, initializer="identity", autocast=False)
        self.mix_after = self.add_weight(name="mix_after", shape=shape, initializer="identity", autocast=False)

    def weigh(self, query: Any, key: Any, mask: AttentionMask) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W) -> weights (B, H, T, S)."""
        wide = keras.backend.result_type(query.dtype, "float32")  # one head's overflow would reach all the others
        scores = self.logits(ops.cast(query, wide), ops.cast(key, wide))  # (B, H, T, S)
        weights = mask.softmax(ops.einsum("hg,bgts->bhts", self.mix_before, scores))
        mixed = ops.einsum("hg,bgts->bhts", self.mix_after, weights)
        allowed = mask.allowed()
        return mixed if allowed is None else ops.where(allowed, mixed, ops.zeros_like(mixed))
