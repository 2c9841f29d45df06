"""A fixed linear penalty on distance.

Shapes: B batch, T query length, S key length, H heads, W head width.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from suite.layers.positions import Position, distances


@keras.saving.register_keras_serializable(package="suite")
class Alibi(Position):
    """Attention with linear biases: each head subtracts its slope times the distance from the scores.

    ``-slope[h] * |key position - query position|``. The slopes of H heads, H a power of two, are
    ``2 ** (-max_bias * h / H)`` for h from 1 to H. Other numbers take the slopes of the next smaller power of two, and
    for the heads left every second one of those of the next larger power. It has no weights and bounds no length.

    Args:
        max_bias: the exponent of the smallest slope.

    Raises:
        ValueError: where `max_bias` is 0 or less, and where it is not built for projected queries.

    Example:

    >>> import numpy as np
    >>> layer = Alibi()
    >>> layer.build((None, 2, None, 32))
    >>> np.asarray(layer.bias(np.arange(3), np.arange(3)))[0, 0].tolist()  # slope 1 / 16
    [[-0.0, -0.0625, -0.125], [-0.0625, -0.0, -0.0625], [-0.125, -0.0625, -0.0]]

    Reference: Press et al. 2022, section 3, https://arxiv.org/abs/2108.12409, and its code for other numbers of heads.
    Differs from the paper: keys after the query are penalised, too, so that it works without a causal mask.
    """

    def __init__(self, *, max_bias: float = 8.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_bias <= 0:
            raise ValueError(f"Alibi expects max_bias above 0. Received: max_bias={max_bias}")
        self.max_bias = max_bias

    def build(self, query_shape: tuple[int | None, ...]) -> None:
        """Note the H heads of projected queries (B, H, T, W)."""
        if len(query_shape) != 4 or query_shape[1] is None:
            raise ValueError(
                f"Alibi expects to be built for projected queries (B, H, T, W). Received: shape {tuple(query_shape)}"
            )
        self._slopes = slopes(query_shape[1], self.max_bias).astype("float32")

    def bias(self, query_positions: Any, key_positions: Any) -> Any:
        """Positions (T,) or (B, T), (S,) or (B, S) -> (B or 1, H, T, S)."""
        if not self.built:
            raise ValueError("Alibi expects to be built, which tells its heads, before a bias is asked for.")
        distance = ops.cast(ops.abs(distances(query_positions, key_positions)), "float32")  # (B or 1, T, S)
        return -ops.convert_to_tensor(self._slopes)[:, None, None] * distance[:, None]  # (B or 1, H, T, S)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_bias": self.max_bias}


def slopes(heads: int, max_bias: float = 8.0) -> np.ndarray:
    """The slopes (H) of the heads."""
    power = 2 ** math.floor(math.log2(heads))
    whole = 2.0 ** (-max_bias * np.arange(1, power + 1) / power)
    halves = 2.0 ** (-max_bias * np.arange(1, 2 * power + 1, 2) / (2 * power))
    return np.concatenate([whole, halves[: heads - power]])
