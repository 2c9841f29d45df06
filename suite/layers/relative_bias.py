"""A learned bias on the scores for each distance, as in T5.

Shapes: B batch, T query length, S key length, H heads, W head width, M largest distance, N buckets.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from suite.layers.positions import Position, distances


@keras.saving.register_keras_serializable(package="suite")
class RelativeBias(Position):
    """A learned score for each head and each bucket of distance and direction, added to the attention scores.

    Of the buckets of one direction, the first half have a distance each; beyond, they grow logarithmically up to
    `max_distance`, from where all share the last. Keys before and after the query have buckets of their own, which is
    what tagging needs: the word before a name tells something else than the word after it. With
    ``bidirectional=False`` all buckets belong to keys before the query, and keys after it are taken for the query's
    own position: for causal attention, which never reads them.

    Args:
        buckets: their number N over both directions; at least 2 in each, and even if there are two.
        max_distance: the distance in tokens from which on all keys share a bucket; more than ``buckets / 4``, or
            ``buckets / 2`` in one direction.
        bidirectional: whether keys after the query have buckets of their own.

    Raises:
        ValueError: where `buckets` or `max_distance` is impossible, and where it is built for anything other than
            projected queries.

    Example:

    >>> import numpy as np
    >>> layer = RelativeBias(buckets=8, max_distance=16)
    >>> layer.build((None, 4, None, 32))
    >>> tuple(layer.bias(np.arange(3), np.arange(5)).shape)
    (1, 4, 3, 5)

    Reference: Raffel et al. 2020, T5, section 2.1, https://arxiv.org/abs/1910.10683; buckets as in its code.
    """

    def __init__(
        self, *, buckets: int = 32, max_distance: int = 128, bidirectional: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        sides = 2 if bidirectional else 1
        if buckets < 2 * sides or buckets % sides:
            even = "an even number of buckets" if bidirectional else "buckets"
            raise ValueError(f"RelativeBias expects {even}, at least {2 * sides}. Received: buckets={buckets}")
        exact = buckets // sides // 2
        if max_distance <= exact:
            raise ValueError(
                f"RelativeBias expects max_distance above buckets / {2 * sides} = {exact}. "
                f"Received: max_distance={max_distance}"
            )
        self.buckets = buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self._bucket_of = self._number(buckets // sides, exact)

    def _number(self, side: int, exact: int) -> np.ndarray:
        """The bucket of each distance from -M to M, (2 M + 1), of `side` in a direction, `exact` of one distance each.

        Computed here once, so that a logarithm next to a whole number is rounded alike on every backend.
        """
        length = np.arange(self.max_distance + 1)
        growth = np.log(np.maximum(length, 1) / exact) / math.log(self.max_distance / exact)
        # A distance at the very start of a bucket belongs into it, whichever way the logarithm was rounded.
        far = np.minimum(exact + np.floor(growth * (side - exact) + 1e-9), side - 1)
        before = np.where(length < exact, length, far).astype("int32")  # (M + 1)
        after = side + before if self.bidirectional else np.zeros_like(before)
        return np.concatenate([before[:0:-1], before[:1], after[1:]])

    def build(self, query_shape: tuple[int | None, ...]) -> None:
        """Make the table for the H heads of projected queries (B, H, T, W)."""
        if len(query_shape) != 4 or query_shape[1] is None:
            raise ValueError(
                f"RelativeBias expects to be built for projected queries (B, H, T, W). "
                f"Received: shape {tuple(query_shape)}"
            )
        table = (self.buckets, query_shape[1])
        self.table = self.add_weight(name="bias_table", shape=table, initializer="zeros", autocast=False)

    def bucket(self, distance: Any) -> Any:
        """Integer distances, key minus query -> bucket numbers of the same shape."""
        distance = ops.clip(distance, -self.max_distance, self.max_distance)
        return ops.take(ops.convert_to_tensor(self._bucket_of), distance + self.max_distance, axis=0)

    def bias(self, query_positions: Any, key_positions: Any) -> Any:
        """Positions (T,) or (B, T), (S,) or (B, S) -> (B or 1, H, T, S)."""
        bucket = self.bucket(distances(query_positions, key_positions))  # (B or 1, T, S)
        scores = ops.take(ops.cast(self.table, "float32"), bucket, axis=0)  # (B or 1, T, S, H)
        return ops.transpose(scores, (0, 3, 1, 2))  # (B or 1, H, T, S)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "buckets": self.buckets,
            "max_distance": self.max_distance,
            "bidirectional": self.bidirectional,
        }
