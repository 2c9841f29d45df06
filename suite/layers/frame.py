"""From waveforms to sequences of frames. A mask of samples becomes a mask of frames at each step.

Shapes: B batch, S samples, F frames, M features of a frame, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask, check_sizes
from suite.layers.log_mel import LogMel


@keras.saving.register_keras_serializable(package="suite")
class FrameEmbedding(keras.layers.Layer):
    """Maps each frame of a waveform linearly to a vector: ``W features(x)_t + b``.

    Masking: that of `features`; `frame_mask` turns a mask of samples into one of frames.

    Args:
        width: D.
        features: a layer (B, S) -> (B, F, M) with a method `frame_mask`; by default ``LogMel()``.

    Call arguments:
        inputs: (B, S) floating point.
        mask: (B, S) booleans, True at real samples.

    Returns:
        (B, F, D).

    Raises:
        ValueError: where `width` is below 1, and what `features` raises.

    Example:

    >>> import numpy as np
    >>> layer = FrameEmbedding(8, features=LogMel(40, rate=8000, window=200, stride=80))
    >>> wave, mask = np.ones((2, 1000), "float32"), np.arange(1000) < np.array([[1000], [300]])
    >>> tuple(layer(wave, mask=mask).shape), np.asarray(layer.frame_mask(mask)).sum(axis=1).tolist()
    ((2, 13, 8), [13, 4])
    """

    def __init__(self, width: int, *, features: keras.layers.Layer | None = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # half precision would round the waveform
        check_sizes(self, width=width)
        self.width = width
        self.features = LogMel(dtype=self.dtype_policy, name="features") if features is None else features
        self.projection = keras.layers.Dense(width, dtype=self.dtype_policy, name="projection")

    def build(self, input_shape: Any) -> None:
        """Make the map for waveforms (B, S)."""
        if not self.features.built:
            self.features.build(input_shape)
        self.projection.build(self.features.compute_output_shape(input_shape))

    def frame_mask(self, mask: Any) -> Any:
        """Booleans (B, S), True at real samples -> (B, F), True at real frames."""
        return self.features.frame_mask(mask)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """What Keras attaches to the output."""
        return None if previous_mask is None else self.frame_mask(previous_mask)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(B, S) -> (B, F, D)."""
        return (*self.features.compute_output_shape(input_shape)[:-1], self.width)

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        return self.projection(self.features(inputs, mask=mask))  # (B, F, D)

    def get_config(self) -> dict[str, Any]:
        features = keras.saving.serialize_keras_object(self.features)
        return {**super().get_config(), "width": self.width, "features": features}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrameEmbedding:
        return super().from_config({**config, "features": keras.saving.deserialize_keras_object(config["features"])})


@keras.saving.register_keras_serializable(package="suite")
class ConvolutionalFrames(keras.layers.Layer):
    """Two convolutions over frames, the second of which keeps every second frame, as Whisper begins.

    ``activation(second * activation(first * x))``, both with kernels of 3 and a bias, and both padded with one zero on
    either side, so that output t is centred at frame 2 t. (Padding called "same" would move it by one frame where F is
    even.)

    Masking: frames that are not real count as zeros before either convolution, exactly as the space beyond the ends;
    `frame_mask` tells which outputs are real. The output carries that mask where Keras carries masks.

    Args:
        width: D.
        activation: a name or function that `keras.activations.get` knows.

    Call arguments:
        inputs: (B, F, M) floating point.
        mask: (B, F) booleans, True at real frames.

    Returns:
        (B, F / 2, D), rounded up.

    Raises:
        ValueError: where `width` is below 1, and for a mask that is not boolean of shape (B, F).

    Example:

    >>> import numpy as np
    >>> frames = LogMel(40)(np.ones((2, 1600), "float32"))  # its mask, if it had one, would come along
    >>> tuple(frames.shape), tuple(ConvolutionalFrames(8)(frames).shape)
    ((2, 10, 40), (2, 5, 8))

    Reference: Radford et al. 2022, Whisper, section 2.2, https://arxiv.org/abs/2212.04356. Differs from the paper:
    padding is not read.
    """

    def __init__(self, width: int, *, activation: Any = "gelu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(self, width=width)
        self.width = width
        self.activation = keras.activations.get(activation)
        options = {"activation": self.activation, "data_format": "channels_last", "dtype": self.dtype_policy}
        self.first = keras.layers.Conv1D(width, 3, name="first", **options)
        self.second = keras.layers.Conv1D(width, 3, strides=2, name="second", **options)

    def build(self, input_shape: Any) -> None:
        """Make the filters for frames (B, F, M)."""
        self.first.build((None, None, input_shape[-1]))
        self.second.build((None, None, self.width))

    def frame_mask(self, mask: Any) -> Any:
        """Booleans (B, F), True at real frames -> (B, F / 2), True at real outputs."""
        return mask[:, ::2]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """What Keras attaches to the output."""
        return None if previous_mask is None else self.frame_mask(previous_mask)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(B, F, M) -> (B, F / 2, D)."""
        frames = input_shape[1]
        return (input_shape[0], None if frames is None else -(-frames // 2), self.width)

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape[:2]))
        x = inputs
        for convolution in (self.first, self.second):
            x = x if mask is None else ops.where(mask[..., None], x, ops.zeros_like(x))
            x = convolution(ops.pad(x, [(0, 0), (1, 1), (0, 0)]))  # (B, F, D), then (B, F / 2, D)
        return x

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "width": self.width, "activation": activation}
