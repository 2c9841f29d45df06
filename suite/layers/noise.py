"""The same sound in noise.

Shapes: B batch, S samples.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask


@keras.saving.register_keras_serializable(package="suite")
class AdditiveNoise(keras.layers.Layer):
    """Adds white noise to waveforms, at a signal-to-noise ratio drawn for each row, in training only.

    ``y = x + n * rms(x) * 10^(-snr / 20)``, where n is normal with variance 1 and the ratio is drawn evenly from `low`
    to `high` decibels. Silence stays silent.

    Masking: padding is neither heard nor made loud: it does not count for the power of a row, and is zero in what comes
    out.

    Args:
        low, high: the range of ratios, in decibels.
        share: how many of the rows get noise, from 0 to 1.
        seed: of the random numbers; by default Keras's global one decides.

    Call arguments:
        inputs: (B, S) floating point.
        mask: (B, S) booleans, True at real samples.
        training: whether to add; otherwise the inputs pass as they are.

    Returns:
        (B, S).

    Raises:
        ValueError: unless low <= high and 0 < share <= 1, and for a mask that is not boolean of shape (B, S).

    Example:

    >>> import numpy as np
    >>> wave = np.sin(np.arange(8000) / 9).astype("float32")[None]
    >>> noise = np.asarray(AdditiveNoise(20, 20, share=1.0, seed=1)(wave, training=True)) - wave
    >>> round(float(np.sqrt((noise**2).mean() / (wave**2).mean())), 2)
    0.1

    Reference: Ko et al. 2017, "A study on data augmentation of reverberant speech for robust speech recognition",
    section 3. Differs from the paper: white noise instead of recorded noises.
    """

    def __init__(
        self, low: float = 10.0, high: float = 40.0, *, share: float = 0.5, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not low <= high or not 0 < share <= 1:
            raise ValueError(
                f"AdditiveNoise expects low <= high and 0 < share <= 1. Received: low={low}, high={high}, share={share}"
            )
        self.low = low
        self.high = high
        self.share = share
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, *, mask: Any = None, training: bool = False) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape))
        if not training:
            return inputs
        wide = keras.backend.result_type(inputs.dtype, "float32")
        x = ops.cast(inputs, wide)
        real = ops.ones_like(x) if mask is None else ops.cast(mask, wide)  # (B, S)
        x = x * real
        count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
        power = ops.sum(ops.square(x), axis=1, keepdims=True) / count  # (B, 1)
        rows = (ops.shape(x)[0], 1)
        ratio = keras.random.uniform(rows, self.low, self.high, dtype=wide, seed=self.seed_generator)
        chosen = ops.cast(keras.random.uniform(rows, dtype=wide, seed=self.seed_generator) < self.share, wide)
        level = chosen * ops.sqrt(power) * ops.exp(ratio * (-0.05 * 2.302585092994046))  # 10^(-ratio / 20)
        noise = keras.random.normal(ops.shape(x), dtype=wide, seed=self.seed_generator)  # (B, S)
        return ops.cast(x + noise * level * real, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(B, S) -> (B, S)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high, "share": self.share, "seed": self.seed}
