"""A sound of which some moments and some bands of frequencies cannot be heard.

Shapes: B batch, F frames, M bands, N stretches that are covered.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask


@keras.saving.register_keras_serializable(package="suite")
class SpecAugment(keras.layers.Layer):
    """Covers random stretches of frames and of bands of each row with a constant, in training only.

    A stretch of frames has a width drawn evenly from 0 to `frame_width`, at most `frame_share` of the row's real
    frames, and a place drawn evenly among those where it fits; a stretch of bands likewise, among all bands.

    Masking: stretches lie within the real frames. Padding is left as it is.

    Args:
        frames: how many stretches of frames.
        frame_width: the widest of them.
        frame_share: the widest of them, as a share of the real frames of a row.
        bands: how many stretches of bands.
        band_width: the widest of them.
        value: what stands there instead; 0 is the mean of normalized features.
        seed: of the random numbers; by default Keras's global one decides.

    Call arguments:
        inputs: (B, F, M) floating point.
        mask: (B, F) booleans, True at real frames.
        training: whether to cover; otherwise the inputs pass as they are.

    Returns:
        (B, F, M).

    Raises:
        ValueError: for impossible numbers, and for a mask that is not boolean of shape (B, F).

    Example:

    >>> import numpy as np
    >>> layer = SpecAugment(frames=1, frame_width=5, bands=0, seed=1)
    >>> covered = np.asarray(layer(np.ones((1, 20, 3), "float32"), training=True)) == 0
    >>> bool((covered.all(axis=2) == covered.any(axis=2)).all()), bool(covered.sum() <= 5 * 3)
    (True, True)

    Reference: Park et al. 2019, SpecAugment, https://arxiv.org/abs/1904.08779; the bound by share, Park et al. 2020,
    https://arxiv.org/abs/1912.05533. Differs from the papers: no time warping.
    """

    def __init__(
        self,
        *,
        frames: int = 2,
        frame_width: int = 20,
        frame_share: float = 0.2,
        bands: int = 2,
        band_width: int = 8,
        value: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(frames, bands, frame_width, band_width) < 0 or not 0 < frame_share <= 1:
            raise ValueError(
                f"SpecAugment expects numbers of at least 0 and 0 < frame_share <= 1. Received: frames={frames}, "
                f"frame_width={frame_width}, frame_share={frame_share}, bands={bands}, band_width={band_width}"
            )
        self.frames = frames
        self.frame_width = frame_width
        self.frame_share = frame_share
        self.bands = bands
        self.band_width = band_width
        self.value = value
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, *, mask: Any = None, training: bool = False) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape[:2]))
        if not training:
            return inputs
        batch, count, bands = ops.shape(inputs)[0], ops.shape(inputs)[1], inputs.shape[2]
        real = ops.ones((batch, count), "bool") if mask is None else mask  # (B, F)
        covered = ops.zeros_like(inputs[:, :1, :1], dtype="bool")  # (B, 1, 1), and grows
        if self.frames:
            # Real frames are counted from the first, so that padding may stand on either side.
            order = ops.cumsum(ops.cast(real, "float32"), axis=1) - 1  # (B, F)
            size = order[:, -1:] + 1  # (B, 1)
            widest = ops.minimum(float(self.frame_width), self.frame_share * size)
            found = self._stretches(self.frames, order, size, widest)
            covered = ops.logical_or(covered, ops.logical_and(found, real)[:, :, None])
        if self.bands:
            order = ops.arange(bands, dtype="float32")[None]  # (1, M)
            size = ops.full((batch, 1), float(bands))
            found = self._stretches(self.bands, order, size, ops.minimum(float(self.band_width), size))
            covered = ops.logical_or(covered, ops.logical_and(found[:, None, :], real[:, :, None]))
        return ops.where(covered, ops.cast(self.value, inputs.dtype), inputs)

    def _stretches(self, number: int, order: Any, size: Any, widest: Any) -> Any:
        """Whether each place (B or 1, L) lies in one of `number` stretches; sizes and greatest widths are (B, 1)."""
        draws = keras.random.uniform((ops.shape(size)[0], 2, number), dtype="float32", seed=self.seed_generator)
        width = ops.floor(draws[:, 0] * (ops.floor(widest) + 1))  # (B, N)
        start = ops.floor(draws[:, 1] * (size - width + 1))
        place = order[:, :, None]  # (B or 1, L, 1)
        return ops.any(
            ops.logical_and(place >= start[:, None], place < (start + width)[:, None]),  # (B, L, N)
            axis=-1,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(B, F, M) -> (B, F, M)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "frames": self.frames,
            "frame_width": self.frame_width,
            "frame_share": self.frame_share,
            "bands": self.bands,
            "band_width": self.band_width,
            "value": self.value,
            "seed": self.seed,
        }
