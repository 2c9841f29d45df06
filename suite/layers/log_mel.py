"""What a waveform sounds like, moment by moment.

Shapes: B batch, S samples, F frames, N samples of a window, M mel bands.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from suite.layers.arguments import check_mask, check_sizes

_FLOOR = 1e-10  # a power that nothing audible falls below
_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="suite")
class LogMel(keras.layers.Layer):
    """Log-mel features of a waveform: how loud each band of frequencies is around each moment.

    Frame t is centred at sample ``t * stride`` and reads N samples weighted by a Hann window, with zeros before the
    beginning and after the end: ``power = |rfft(hann * x)|^2``, then ``log(max(power @ filters, 1e-10))``. The M
    triangular filters are spaced evenly on Slaney's mel scale and have the same area, as in librosa and Whisper. With
    `normalize` each band of each row has mean 0 and variance 1 over the real frames, so a single real frame is 0.
    Everything is computed in float32 at least and cast last; there are no weights.

    Masking: samples that are not real count as zeros, whatever stands there, and a frame is real where the sample at
    its centre is; `frame_mask` tells. Other frames are zero. So neither the content of padding nor its amount changes
    a frame. The output carries the mask of frames where Keras carries masks.

    Args:
        mels: M.
        rate: samples per second.
        window: N.
        stride: samples from one frame to the next.
        low: where the lowest filter begins, in hertz.
        high: where the highest ends; by default half of `rate`.
        normalize: whether to normalize each band over the real frames.

    Call arguments:
        inputs: (B, S) floating point.
        mask: (B, S) booleans, True at real samples.

    Returns:
        (B, F, M), F being S / stride, rounded up.

    Raises:
        ValueError: for impossible numbers, filters so narrow that one has no frequency in it, inputs that are no
            (B, S), and a mask that is not boolean of shape (B, S).

    Example:

    >>> import numpy as np
    >>> wave = np.sin(np.arange(16000) / 9).astype("float32")[None]
    >>> tuple(LogMel(40)(wave).shape)  # one second
    (1, 100, 40)

    Reference: Davis and Mermelstein 1980 (mel filters); Slaney 1998, Auditory Toolbox (scale and area); Radford et al.
    2022, Whisper, section 2.2, https://arxiv.org/abs/2212.04356. Differs from Whisper: zeros instead of a reflection
    at the ends, the natural logarithm with a fixed floor, and normalization by band. Override `compress` for others.
    """

    def __init__(
        self,
        mels: int = 80,
        *,
        rate: int = 16_000,
        window: int = 400,
        stride: int = 160,
        low: float = 0.0,
        high: float | None = None,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # half precision would round the waveform
        check_sizes(self, mels=mels, rate=rate, window=window, stride=stride)
        top = rate / 2 if high is None else high
        if stride > window or not 0 <= low < top <= rate / 2:
            raise ValueError(
                f"LogMel expects stride <= window and 0 <= low < high <= rate / 2. Received: "
                f"stride={stride}, window={window}, low={low}, high={high}, rate={rate}"
            )
        self.mels = mels
        self.rate = rate
        self.window = window
        self.stride = stride
        self.low = low
        self.high = high
        self.normalize = normalize
        self.hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype("float32")
        self.filters = mel_filters(mels, frequencies=np.arange(window // 2 + 1) * rate / window, low=low, high=top)

    def frame_mask(self, mask: Any) -> Any:
        """Booleans (B, S), True at real samples -> (B, F), True at real frames."""
        return mask[:, :: self.stride]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """What Keras attaches to the output."""
        return None if previous_mask is None else self.frame_mask(previous_mask)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(B, S) -> (B, F, M)."""
        if len(input_shape) != 2:
            raise ValueError(f"LogMel expects waveforms (batch, samples). Received: shape {tuple(input_shape)}")
        samples = input_shape[1]
        return (input_shape[0], None if samples is None else -(-samples // self.stride), self.mels)

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        self.compute_output_shape(inputs.shape)  # says what is wrong with another rank
        check_mask(self, "mask", mask, tuple(inputs.shape))
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        x = x if mask is None else ops.where(mask, x, ops.zeros_like(x))
        frames = self.compress(self._power(x))  # (B, F, M)
        real = ops.ones_like(frames[..., :1], "bool") if mask is None else self.frame_mask(mask)[..., None]  # (B, F, 1)
        if self.normalize:
            frames = _normalized(frames, ops.cast(real, frames.dtype))
        return ops.cast(ops.where(real, frames, ops.zeros_like(frames)), self.compute_dtype)

    def compress(self, power: Any) -> Any:
        """A hook. Powers (B, F, M) -> features of the same shape, before they are normalized."""
        return ops.log(ops.maximum(power, _FLOOR))

    def _power(self, x: Any) -> Any:
        frames = -(-ops.shape(x)[1] // self.stride)
        x = ops.pad(x, [(0, 0), (self.window // 2, self.window - self.window // 2)])
        # A window of our own: the one called "hann" is not the same on every backend where N is odd.
        hann = ops.convert_to_tensor(self.hann, x.dtype)
        real, imaginary = ops.stft(x, self.window, self.stride, self.window, hann, center=False)
        # There is one frame too many where the stride divides S.
        power = ops.square(real[:, :frames]) + ops.square(imaginary[:, :frames])  # (B, F, N // 2 + 1)
        return ops.matmul(power, ops.cast(self.filters, power.dtype))  # (B, F, M)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mels": self.mels,
            "rate": self.rate,
            "window": self.window,
            "stride": self.stride,
            "low": self.low,
            "high": self.high,
            "normalize": self.normalize,
        }


def mel_filters(mels: int, *, frequencies: np.ndarray, low: float, high: float) -> np.ndarray:
    """Triangles of equal area, evenly spaced on Slaney's mel scale.

    The scale is linear up to 1,000 hertz, at 15 mels, and logarithmic beyond, with 27 mels from there to 6,400 hertz.

    Args:
        mels: M, their number.
        frequencies: those to weigh, in hertz.
        low: where the lowest begins, in hertz.
        high: where the highest ends, in hertz.

    Returns:
        The weights, (frequencies, M).
    """
    mel = np.linspace(_mel(low), _mel(high), mels + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    empty = np.flatnonzero(~filters.any(axis=0))
    if empty.size:
        raise ValueError(
            f"Each mel filter expects a frequency within it: take fewer filters or a longer window. "
            f"Received: mels={mels}, of which {empty.size} have none, and frequencies {frequencies[1]:g} hertz apart"
        )
    return filters.astype("float32")


def _mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _normalized(frames: Any, real: Any) -> Any:
    """Frames (B, F, M), 1 or 0 (B, F, 1) -> mean 0 and variance 1 of each band over what is real."""
    count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)  # (B, 1, 1)
    frames = frames - ops.sum(frames * real, axis=1, keepdims=True) / count
    variance = ops.sum(ops.square(frames) * real, axis=1, keepdims=True) / count  # (B, 1, M)
    return frames * ops.rsqrt(variance + _EPSILON)
