"""Fixed sines and cosines of the position.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.positions import Position, angles, check_wavelength, frequencies, per_row, waves


@keras.saving.register_keras_serializable(package="suite")
class Sinusoidal(Position):
    """Adds fixed sines and cosines of the position to a sequence of embeddings.

    Feature 2i of position t is ``sin(t * wavelength ** (-2 i / D))`` and feature 2i + 1 the cosine, computed in
    float32 at least and cast last. It has no weights and bounds no length. On zeros it returns the table alone.

    Args:
        wavelength: the base of the geometric series of wavelengths.
        interleaved: whether sines and cosines take turns; otherwise all sines come first.
        endpoint: whether the series reaches `wavelength` itself: exponents ``-i / (D/2 - 1)`` in place of ``-2 i / D``.

    Call arguments:
        inputs: (B, T, D) floating point, D even.
        positions: (T,) or (B, T) integers; by default 0 to T - 1.

    Returns:
        (B, T, D), of the inputs' type.

    Raises:
        ValueError: where D is odd, and for a wavelength of 0 or less.

    Example:

    >>> import numpy as np
    >>> whisper = Sinusoidal(interleaved=False, endpoint=True)
    >>> tuple(whisper(np.zeros((2, 3, 4), "float32")).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.5, https://arxiv.org/abs/1706.03762, which is the default here and in
    KerasHub. Differs from the paper: embeddings are not multiplied by the root of D, see `TokenEmbedding`. The paper's
    own code, fairseq and Whisper have ``interleaved=False, endpoint=True``.
    """

    def __init__(
        self, *, wavelength: float = 10_000.0, interleaved: bool = True, endpoint: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.wavelength = check_wavelength(self, wavelength)
        self.interleaved = interleaved
        self.endpoint = endpoint

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Check the width."""
        if inputs_shape[-1] is None or inputs_shape[-1] % 2:
            raise ValueError(f"Sinusoidal expects an even width. Received: inputs of shape {tuple(inputs_shape)}")

    def embed(self, x: Any, positions: Any) -> Any:
        """(B, T, D), positions (T,) or (B, T) -> (B, T, D)."""
        wide = keras.backend.result_type(x.dtype, "float32")
        frequency = frequencies(x.shape[-1], self.wavelength, endpoint=self.endpoint)  # (D / 2)
        table = waves(angles(per_row(positions), frequency, wide), interleaved=self.interleaved)  # (B or 1, T, D)
        return ops.cast(ops.cast(x, wide) + table, x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "wavelength": self.wavelength,
            "interleaved": self.interleaved,
            "endpoint": self.endpoint,
        }
