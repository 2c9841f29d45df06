"""How loud each band of a sound is, beside its loudest.

Shapes: B batch, F frames, M mel bands.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask


@keras.saving.register_keras_serializable(package="suite")
class RelativeLevel(keras.layers.Layer):
    """Logarithms of power as levels below the sound's loudest: its shape stays, its volume does not count.

    ``2 * max(0, 1 - (loudest - x) / span) - 1``: 1 for the loudest band of all frames, -1 for all that is `span`
    decibels or more below. Unlike a normalization of each band over time, it keeps the spectrum of a sound of a few
    frames.

    Masking: frames of padding are not looked at, and become 0.

    Args:
        span: decibels from 1 to -1.

    Call arguments:
        inputs: natural logarithms of power (B, F, M), floating point, such as `LogMel` gives with ``normalize=False``.
        mask: booleans (B, F), True at real frames; default: all are real.

    Returns:
        (B, F, M), of the layer's type.

    Raises:
        ValueError: where `span` is not positive, or the mask is no boolean of that shape.

    Example:

    >>> import numpy as np
    >>> power = np.array([[[1.0, 0.01], [0.0001, 1e-9]]], "float32")
    >>> np.asarray(RelativeLevel(40)(np.log(power))).round(3).tolist()
    [[[1.0, 0.0], [-1.0, -1.0]]]

    Reference: Radford et al. 2022, Whisper, section 2.2, https://arxiv.org/abs/2212.04356, whose code does so with 80
    decibels. Differs from Whisper: 1 is the loudest, whatever its power.
    """

    def __init__(self, span: float = 80.0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # half precision would round what is subtracted
        if not span > 0:
            raise ValueError(f"RelativeLevel expects a positive span. Received: span={span}")
        self.span = span
        self.supports_masking = True

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape[:2]))
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        real = ops.ones_like(x[..., :1], "bool") if mask is None else mask[..., None]  # (B, F, 1)
        loudest = ops.max(ops.where(real, x, ops.full_like(x, -math.inf)), axis=(1, 2), keepdims=True)  # (B, 1, 1)
        levels = 1 + 2 * ops.maximum((x - loudest) * (10 / math.log(10) / self.span), -1)
        return ops.cast(ops.where(real, levels, ops.zeros_like(levels)), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "span": self.span}
