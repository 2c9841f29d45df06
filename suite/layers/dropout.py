"""Dropout that draws a quarter of the random bits.

Shapes: N values.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

_LANES = 4  # bytes of a random word


@keras.saving.register_keras_serializable(package="suite")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout`, faster in training: ``keep * x / (1 - rate)``, where `keep` is 0 with probability `rate`.

    Random numbers take most of the time of dropout on a processor, so that each value gets one byte of them in place
    of four. A byte is below a threshold that is drawn anew in each call, one of the two whole numbers next to ``256 *
    rate``, so that the probability of being dropped is exactly `rate` nevertheless.

    With a `noise_shape`, or a rate above 255/256, it is Keras's layer, and `draws` says no.

    Args, `Call arguments`, `Returns` and `Raises` are those of Keras's layer.

    Example:

    >>> import numpy as np
    >>> tuple(Dropout(0.5)(np.ones((2, 3), "float32"), training=True).shape)
    (2, 3)

    Reference: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not self.draws(training) or not inputs.shape:
            return super().call(inputs, training=training)
        kept = inputs * ops.cast(1 / (1 - self.rate), inputs.dtype)
        return ops.where(self.keep(inputs), kept, ops.cast(0, inputs.dtype))

    def draws(self, training: bool | None) -> bool:
        """Whether `call` drops what `keep` says."""
        return bool(training) and 0 < self.rate < 255 / 256 and self.noise_shape is None

    def keep(self, inputs: Any) -> Any:
        """Booleans, drawn anew and of the shape of the inputs, each False with probability `rate`."""
        shape = ops.shape(inputs)
        count = math.prod(shape)  # a tensor where an axis is only known when the layer runs
        words = keras.random.randint((-(-count // _LANES), 1), -(2**31), 2**31 - 1, seed=self.seed_generator)
        drawn = ops.reshape(ops.view(words, "int8"), (-1,))  # (N,), and up to three more
        if not isinstance(count, int) or count % _LANES:
            drawn = drawn[:count]
        threshold = 256 * self.rate + keras.random.uniform((), seed=self.seed_generator) - 128
        return ops.reshape(drawn, shape) >= ops.cast(ops.floor(threshold), "int8")
