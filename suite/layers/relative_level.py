"""How loud each band of a sound is, beside the others.

Shapes: B batch, F frames, M mel bands.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="suite")
class RelativeLevel(keras.layers.Layer):
    """Logarithms of power with mean 0 and variance 1 over a whole sound: its shape stays, its volume does not count.

    ``y = (z - mean(z)) / std(z)`` over all real frames and bands, where ``z = max(x, loudest - span)``. Unlike a
    normalization of each band over time, it keeps the spectrum of a sound of a few frames.

    Masking: frames of padding are not looked at, and become 0.

    Args:
        span: decibels below the loudest band of all frames; what is weaker counts as just so weak, as silence does.

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
    >>> [round(float(level), 2) for level in np.ravel(RelativeLevel(40)(np.log(power)))]
    [1.51, 0.3, -0.9, -0.9]

    Reference: Radford et al. 2022, Whisper, section 2.2, https://arxiv.org/abs/2212.04356, whose code cuts off at 80
    decibels. Differs from Whisper: mean and variance are the sound's own.
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
        levels = ops.maximum(x - loudest, -self.span * math.log(10) / 10)
        share = ops.cast(real, x.dtype)
        share = share / ops.maximum(ops.sum(share, axis=1, keepdims=True), 1) / x.shape[2]  # (B, F, 1)
        levels = ops.where(real, levels, ops.zeros_like(levels))  # (B, F, M)
        levels = levels - ops.sum(levels * share, axis=(1, 2), keepdims=True)
        variance = ops.sum(ops.square(levels) * share, axis=(1, 2), keepdims=True)  # (B, 1, 1)
        levels = levels * ops.rsqrt(variance + _EPSILON)
        return ops.cast(ops.where(real, levels, ops.zeros_like(levels)), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "span": self.span}
