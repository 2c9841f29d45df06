"""Where a token stands, told by its neighbours.

B batch, T positions, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="suite")
class ConvolutionalPosition(keras.layers.Layer):
    """Adds to each token a sum of its neighbours, weighted for each feature and each distance.

    ``y[t] = x[t] + b + sum over j of w[j] * x[t + j - (window - 1) / 2]``, a depthwise convolution with a residual
    path. What stands left and right of a token tells its place among them; attention without any other position becomes
    aware of order, and of its near surroundings from the first block on.

    Padding is read as zero, so that its content changes nothing.

    Args:
        window: tokens that are summed, the token itself among them; odd, to look both ways alike.

    Call arguments:
        inputs: (B, T, D).
        mask: boolean (B, T), True at real tokens; default: all are real.

    Returns:
        (B, T, D), of the inputs' type.

    Raises:
        ValueError: where `window` is not odd.

    Example:

    >>> import numpy as np
    >>> tuple(ConvolutionalPosition(window=3)(np.ones((2, 5, 7), dtype="float32")).shape)
    (2, 5, 7)

    Reference: Chu et al. 2021, section 3.2, https://arxiv.org/abs/2102.10882; Baevski et al. 2020, section 2,
    https://arxiv.org/abs/2006.11477. Differs from the papers: one dimension, and no activation.
    """

    def __init__(self, *, window: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if window < 1 or window % 2 == 0:
            raise ValueError(f"ConvolutionalPosition expects an odd window. Received: window={window}")
        self.window = window
        self.supports_masking = True
        self.neighbours = keras.layers.DepthwiseConv1D(
            window, padding="same", dtype=self.dtype_policy, name="neighbours"
        )

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self.neighbours.build(input_shape)

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        read = inputs if mask is None else ops.where(mask[..., None], inputs, ops.zeros_like(inputs))
        return inputs + self.neighbours(read)  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window}
