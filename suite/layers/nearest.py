"""Attention of which some heads read the nearest earlier match rather than a mean of all that match.

Shapes: B batch, T query length, S key length, H heads, N nearest heads, W head width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask
from suite.layers.positions import per_row


@keras.saving.register_keras_serializable(package="suite")
class NearestAttention(MultiHeadAttention):
    """Attention whose first heads go back in time and stop at the first key that matches.

    A nearest head walks from the query's place to the keys before it, the latest first, and stops at key j with
    probability ``s_tj = sigmoid(score_tj + b)``, with a learned b for each head. So the weight of key j is

        w_tj = s_tj * product over j < k < t of (1 - s_tk),

    and what is last is found however long ago it was. A row's weights sum to at most 1: what is left is the
    probability that no key matches. The other heads are `MultiHeadAttention`'s.

    Masking: a closed key is walked past. A nearest head reads neither the query's own place nor what follows it.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.
        nearest: N, how many of the heads are nearest heads; by default half of them, rounded up.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`.

    Raises:
        ValueError: where `nearest` is not from 0 to `heads`, and as `MultiHeadAttention`.

    Example:

    >>> import numpy as np
    >>> output, weights = NearestAttention(2, nearest=1)(np.ones((3, 5, 8), "float32"), return_weights=True)
    >>> bool(np.all(np.triu(np.asarray(weights)[:, 0]) == 0))
    True

    Reference: Csordas et al. 2021, The Neural Data Router, section 3.2 (geometric attention),
    https://arxiv.org/abs/2110.07732. Differs from the paper: it looks back in time alone, with a learned offset b, and
    stands beside heads with a softmax.
    """

    def __init__(self, heads: int, *, nearest: int | None = None, **kwargs: Any) -> None:
        super().__init__(heads, **kwargs)
        nearest = -(-heads // 2) if nearest is None else nearest
        if not 0 <= nearest <= heads:
            raise ValueError(f"NearestAttention expects nearest from 0 to heads={heads}. Received: nearest={nearest}")
        self.nearest = nearest

    def build(self, query_shape: Any, key_shape: Any = None, value_shape: Any = None) -> None:
        """Make the projections and the offsets."""
        super().build(query_shape, key_shape, value_shape)
        # At -2 a head first walks past seven of eight keys, so that it sees far before it has learned what to look for.
        start = keras.initializers.Constant(-2.0)
        self.offset = self.add_weight(name="bias", shape=(self.nearest, 1, 1), initializer=start, autocast=False)

    def weigh(self, query: Any, key: Any, mask: AttentionMask) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W) -> weights (B, H, T, S); a row without a key is zero."""
        scores = mask.apply(self.logits(query, key))  # (B, H, T, S), float32 at least
        soft = ops.softmax(scores[:, self.nearest :])
        allowed = mask.allowed()
        if allowed is not None:
            soft = soft * ops.cast(ops.any(allowed, axis=-1, keepdims=True), soft.dtype)
        return ops.concatenate([self._walk(scores[:, : self.nearest], mask), soft], axis=1)  # (B, H, T, S)

    def _walk(self, scores: Any, mask: AttentionMask) -> Any:
        """Scores (B, N, T, S), -1e30 where closed -> the probabilities to stop at each key, of the same shape."""
        query_order, key_order = per_row(mask.query_order), per_row(mask.key_order)  # (1 or B, T), (1 or B, S)
        earlier = (key_order[:, None, :] < query_order[:, :, None])[:, None]  # (1 or B, 1, T, S)
        scores = scores + ops.cast(self.offset, scores.dtype)
        passed = ops.where(earlier, ops.softplus(scores), ops.zeros_like(scores))  # -log(1 - sigmoid)
        later = ops.cast(key_order[:, :, None] > key_order[:, None, :], scores.dtype)  # (1 or B, S, S)
        # The sum over the keys between a key and the query. Each row has its own copy: TensorFlow's oneDNN kernel for
        # products that broadcast corrupts memory, seen in 2.21 at (3, 1, 7, 7) times (1, 1, 7, 7).
        later = ops.broadcast_to(later, (ops.shape(passed)[0], *ops.shape(later)[1:]))
        walked_past = ops.einsum("bnts,bsj->bntj", passed, later)  # (B, N, T, S)
        logs = scores - passed - walked_past
        return ops.where(earlier, ops.exp(logs), ops.zeros_like(logs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "nearest": self.nearest}
