from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.log_mel import LogMel, mel_filters

B, S, M = 3, 997, 11
RATE, WINDOW, STRIDE = 8000, 200, 83
SMALL = {"rate": RATE, "window": WINDOW, "stride": STRIDE}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(139)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def example() -> tuple[np.ndarray, np.ndarray]:
    """Rows of 997, 331 and no real samples."""
    x = np.random.default_rng(149).normal(size=(B, S)).astype("float32")
    return x, np.arange(S) < np.array([[S], [331], [0]])


def reference(x, *, rate, window, stride, mels):
    """The features of one waveform (S), frame by frame, before they are normalized."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(x.astype("float64"), (window // 2, window))
    frames = np.stack([padded[t : t + window] * hann for t in range(0, len(x), stride)])
    filters = mel_filters(mels, frequencies=np.arange(window // 2 + 1) * rate / window, low=0, high=rate / 2)
    return np.log(np.maximum(np.abs(np.fft.rfft(frames)) ** 2 @ filters, 1e-10))


@pytest.mark.parametrize(
    ("samples", "window", "stride"), [(997, 200, 83), (996, 200, 83), (997, 201, 200), (997, 151, 7), (37, 200, 83)]
)
def test_features_equal_the_formula(samples, window, stride):
    x = example()[0][:, :samples]
    layer = LogMel(M, rate=RATE, window=window, stride=stride, normalize=False)
    expected = [reference(row, rate=RATE, window=window, stride=stride, mels=M) for row in x]
    output = numpy(layer(x))
    assert output.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(output, expected, atol=1e-4)


def test_a_pure_tone_is_loudest_in_the_band_that_holds_it():
    x = np.sin(2 * np.pi * 1700 * np.arange(S) / RATE).astype("float32")
    loudest = numpy(LogMel(29, normalize=False, **SMALL)(x[None]))[0, 5].argmax()
    mel = np.linspace(0, 15 + 27 * np.log(4) / np.log(6.4), 31)  # 4,000 hertz is the top
    assert np.abs(mel[1:-1] - (15 + 27 * np.log(1.7) / np.log(6.4))).argmin() == loudest


def test_filters_have_one_area_and_known_edges():
    """On Slaney's scale 15 mels are 1,000 hertz and 42 are 6,400, so two filters from 0 to 42 meet at 14 and 28."""
    hertz = np.arange(0, 6500.0)
    filters = mel_filters(2, frequencies=hertz, low=0, high=6400)
    np.testing.assert_allclose(filters.sum(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(filters.argmax(axis=0), [14 * 200 / 3, 1000 * 6.4 ** (13 / 27)], atol=1)
    assert np.flatnonzero(filters[:, 1])[[0, -1]].tolist() == [934, 6399]


def test_bands_are_normalized_over_real_frames():
    layer, plain, (x, mask) = LogMel(M, **SMALL), LogMel(M, normalize=False, **SMALL), example()
    output, features = numpy(layer(x, mask=mask)), numpy(plain(x, mask=mask))
    for row, length in ((0, 13), (1, 4)):
        real = features[row, :length]
        np.testing.assert_allclose(output[row, :length], (real - real.mean(0)) / real.std(0), atol=1e-3)
    np.testing.assert_array_equal(output[2], 0)
    np.testing.assert_array_equal(output[1, 4:], 0)


@pytest.mark.parametrize("normalize", [True, False])
def test_neither_content_nor_amount_of_padding_is_read(normalize):
    layer, (x, mask) = LogMel(M, normalize=normalize, **SMALL), example()
    output = numpy(layer(x, mask=mask))
    spoiled = np.where(mask, x, np.nan).astype("float32")
    np.testing.assert_array_equal(numpy(layer(spoiled, mask=mask)), output)
    np.testing.assert_allclose(numpy(layer(x[1:2, :331]))[0], output[1, :4], atol=1e-4)  # no mask at all
    np.testing.assert_array_equal(numpy(layer.frame_mask(mask)).sum(axis=1), [13, 4, 0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_rounds_the_result_alone(policy):
    x = example()[0] * 30000  # as 16-bit samples; their powers are far beyond float16
    half = LogMel(M, dtype=policy, **SMALL)(x)
    single = ops.cast(LogMel(M, **SMALL)(x), half.dtype)
    assert keras.backend.standardize_dtype(half.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(numpy(half), numpy(single))


def test_one_saved_model_reads_every_length_and_hands_on_the_mask(tmp_path):
    inputs, masks = keras.Input((None,)), keras.Input((None,), dtype="bool")
    layer = LogMel(M, low=50, high=3500, normalize=False, **SMALL)
    frames = layer(inputs, mask=masks)
    model = keras.Model([inputs, masks], keras.layers.GlobalAveragePooling1D()(frames))  # obeys the mask it is handed
    assert frames.shape == (None, None, M)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, mask = (array[:2] for array in example())
    output = model.predict_on_batch([x, mask])
    np.testing.assert_array_equal(loaded.predict_on_batch([x, mask]), output)
    np.testing.assert_allclose(output[1], numpy(layer(x[1:, :331]))[0].mean(axis=0), atol=1e-4)
    short = model.predict_on_batch([x[:, :500], mask[:, :500]])
    np.testing.assert_allclose(short[1], output[1], atol=1e-4)


def test_another_compression_is_one_method():
    class Root(LogMel):
        def compress(self, power):
            return ops.sqrt(power)

    x = example()[0]
    logarithms = numpy(LogMel(M, normalize=False, **SMALL)(x))
    np.testing.assert_allclose(numpy(Root(M, normalize=False, **SMALL)(x)), np.exp(logarithms / 2), rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogMel(0), "mels of at least 1. Received: mels=0"),
        (lambda: LogMel(M, window=100, stride=101), "stride <= window.*stride=101, window=100"),
        (lambda: LogMel(M, low=300, high=200), "low < high.*low=300, high=200"),
        (lambda: LogMel(M, high=8001), "high <= rate / 2.*high=8001, rate=16000"),
        (lambda: LogMel(80, window=64, stride=64), "fewer filters.*mels=80, of which .* 250 hertz apart"),
        (lambda: LogMel()(np.ones((2, 500, 1), "float32")), r"waveforms \(batch, samples\). Received: shape \(2, 500"),
        (lambda: LogMel()(np.ones((2, 5), "float32"), mask=np.ones((2, 7), bool)), r"\(2, 5\). Received: bool.*\(2, 7"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
