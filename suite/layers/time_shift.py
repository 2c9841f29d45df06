"""The same sound, a little earlier or later.

Shapes: B batch, S samples.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask, check_sizes


@keras.saving.register_keras_serializable(package="suite")
class TimeShift(keras.layers.Layer):
    """Moves each waveform by its own random number of samples, in training only.

    ``y[t] = x[t - shift]``, with the shift drawn evenly from -limit to limit for each row. What comes in at an end is
    silence, and what goes out at the other is lost; so `limit` should be about as long as the silence around a sound.

    Masking: padding counts as silence and is silent in what comes out, so the mask of the input is that of the output.

    Args:
        limit: the farthest shift, in samples.
        seed: of the random numbers; by default Keras's global one decides.

    Call arguments:
        inputs: (B, S) floating point.
        mask: (B, S) booleans, True at real samples.
        training: whether to shift; otherwise the inputs pass as they are.

    Returns:
        (B, S).

    Raises:
        ValueError: where `limit` is below 1, and for a mask that is not boolean of shape (B, S).

    Example:

    >>> import numpy as np
    >>> wave = np.array([[1.0, 2.0, 3.0, 4.0]], "float32")
    >>> shifted = np.asarray(TimeShift(1, seed=1)(wave, training=True))[0].tolist()
    >>> shifted in ([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 0.0])
    True

    Reference: Ko et al. 2015, "Audio augmentation for speech recognition"; McMahan and Rao 2018, "Listening to the
    world improves speech command recognition", https://arxiv.org/abs/1710.08377.
    """

    def __init__(self, limit: int, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(self, limit=limit)
        self.limit = limit
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, *, mask: Any = None, training: bool = False) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape))
        if not training:
            return inputs
        x = inputs if mask is None else ops.where(mask, inputs, ops.zeros_like(inputs))
        batch, samples = ops.shape(x)[0], ops.shape(x)[1]
        shift = keras.random.randint((batch, 1), -self.limit, self.limit + 1, seed=self.seed_generator)  # (B, 1)
        source = ops.arange(samples, dtype="int32")[None] - ops.cast(shift, "int32")  # (B, S)
        moved = ops.take_along_axis(x, ops.clip(source, 0, samples - 1), axis=1)  # (B, S)
        real = ops.logical_and(source >= 0, source < samples)
        real = real if mask is None else ops.logical_and(real, mask)
        return ops.where(real, moved, ops.zeros_like(moved))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(B, S) -> (B, S)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "limit": self.limit, "seed": self.seed}
