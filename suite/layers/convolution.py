"""Convolution over tokens.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.dropout import Dropout
from suite.layers.normalization import LayerNormalization


@keras.saving.register_keras_serializable(package="suite")
class ConvolutionBlock(keras.layers.Layer):
    """A gated, dilated convolution over time with a residual path.

    ``x + dropout(a * sigmoid(g))``, where a and g are convolutions of ``norm(x)``. Padding is read as zeros, exactly
    as the space beyond the ends of the sequence, so neither its content nor its amount changes a real position.

    Args:
        kernel: the number of positions that one output sees; odd.
        dilation: the distance between two of them, in positions.
        dropout: the fraction of the branch dropped in training.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `kernel` is not odd or `dilation` is below 1.

    Example:

    >>> import numpy as np
    >>> block = ConvolutionBlock(3, dilation=2)
    >>> tuple(block(np.ones((2, 5, 4), "float32"), mask=np.ones((2, 5), bool)).shape)
    (2, 5, 4)

    Reference: Dauphin et al. 2017 (gates), https://arxiv.org/abs/1612.08083; Strubell et al. 2017 (dilation for
    tagging), https://arxiv.org/abs/1702.02098.
    """

    def __init__(self, kernel: int = 3, *, dilation: int = 1, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kernel < 1 or kernel % 2 == 0 or dilation < 1:
            raise ValueError(
                f"ConvolutionBlock expects an odd kernel and a dilation of at least 1. "
                f"Received: kernel={kernel}, dilation={dilation}"
            )
        self.kernel = kernel
        self.dilation = dilation
        self.norm = LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy, name="norm")
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the norm and the filters for inputs (B, T, D)."""
        width = input_shape[-1]
        self.filters = keras.layers.Conv1D(
            2 * width,
            self.kernel,
            dilation_rate=self.dilation,
            padding="same",
            dtype=self.dtype_policy,
            name="filters",
        )
        self.norm.build(input_shape)
        self.filters.build(input_shape)

    def call(self, inputs: Any, *, mask: Any = None, training: bool | None = None) -> Any:
        x = self.norm(inputs)
        if mask is not None:
            x = ops.where(ops.cast(mask, "bool")[..., None], x, ops.zeros_like(x))
        value, gate = ops.split(self.filters(x), 2, axis=-1)  # (B, T, D) each
        return inputs + self.dropout(value * ops.sigmoid(gate), training=training)  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel": self.kernel,
            "dilation": self.dilation,
            "dropout": self.dropout.rate,
        }
