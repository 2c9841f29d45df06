from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.frame import ConvolutionalFrames, FrameEmbedding
from suite.layers.log_mel import LogMel

B, S, F, M, D = 3, 997, 13, 11, 5
SMALL = {"rate": 8000, "window": 200, "stride": 83}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(151)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def waveforms() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(157).normal(size=(B, S)).astype("float32")
    return x, np.arange(S) < np.array([[S], [331], [0]])


def frames(length: int = F) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(163).normal(size=(B, length, M)).astype("float32")
    return x, np.arange(length) < np.array([[length], [6], [5]])


def embedding(**kwargs) -> FrameEmbedding:
    return FrameEmbedding(D, features=LogMel(M, **SMALL, dtype=kwargs.get("dtype")), **kwargs)


def randomize(layer, shape):
    layer.build(shape)
    rng = np.random.default_rng(167)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])


def test_each_frame_goes_through_the_linear_map():
    layer, (x, mask) = embedding(), waveforms()
    randomize(layer, x.shape)
    kernel, bias = map(numpy, layer.get_weights())
    np.testing.assert_allclose(
        numpy(layer(x, mask=mask)), numpy(layer.features(x, mask=mask)) @ kernel + bias, atol=1e-5
    )
    assert FrameEmbedding(D).features.mels == 80


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def convolved(x, kernel, bias, step):
    x = np.pad(x, ((1, 1), (0, 0)))
    return np.stack([bias + np.einsum("km,kmd->d", x[t : t + 3], kernel) for t in range(0, len(x) - 2, step)])


@pytest.mark.parametrize("length", [12, 13])
@pytest.mark.parametrize("masked", [True, False])
def test_convolutions_equal_the_formula(masked, length):
    layer, (x, mask) = ConvolutionalFrames(D), frames(length)
    randomize(layer, x.shape)
    output = numpy(layer(x, mask=mask) if masked else layer(x))
    assert output.shape == layer.compute_output_shape(x.shape)
    first, first_bias, second, second_bias = map(numpy, layer.get_weights())
    lengths = mask.sum(axis=1) if masked else [length] * B
    for row, real in zip(range(B), lengths, strict=True):  # each row as if it were alone
        expected = gelu(convolved(gelu(convolved(x[row, :real], first, first_bias, 1)), second, second_bias, 2))
        np.testing.assert_allclose(output[row, : len(expected)], expected, atol=1e-4)
        assert len(expected) == numpy(layer.frame_mask(mask if masked else mask[:1]))[row if masked else 0].sum()


@pytest.mark.parametrize("name", ["embedding", "convolutions"])
def test_content_under_padding_is_not_read(name):
    layer, (x, mask) = (embedding(), waveforms()) if name == "embedding" else (ConvolutionalFrames(D), frames())
    randomize(layer, x.shape)
    real = mask if name == "embedding" else mask[..., None]
    output, spoiled = numpy(layer(x, mask=mask)), numpy(layer(np.where(real, x, np.nan).astype("float32"), mask=mask))
    np.testing.assert_array_equal(output, spoiled)


def whole_model():
    """From waveforms to a vector, the mask handed on all the way."""
    inputs, masks = keras.Input((None,)), keras.Input((None,), dtype="bool")
    x = ConvolutionalFrames(D, activation="relu")(embedding()(inputs, mask=masks))
    return keras.Model([inputs, masks], keras.layers.GlobalAveragePooling1D()(x))


def test_one_saved_model_reads_every_length_and_learns(tmp_path):
    model, (x, mask) = whole_model(), waveforms()
    randomize(model, None)
    x, mask = x[:2], mask[:2]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    output = model.predict_on_batch([x, mask])
    np.testing.assert_array_equal(loaded.predict_on_batch([x, mask]), output)
    np.testing.assert_allclose(model.predict_on_batch([x[1:, :331], mask[1:, :331]]), output[1:], atol=1e-4)
    assert loaded.layers[2].features.get_config() == model.layers[2].features.get_config()
    assert loaded.layers[3].get_config() == model.layers[3].get_config()
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch([x, mask], np.ones((2, D)))
    assert len(before) == 6
    assert all(np.abs(new - old).max() > 1e-5 for new, old in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "make", [embedding, lambda **k: ConvolutionalFrames(D, **k)], ids=["embedding", "convolutions"]
)
def test_half_precision_stays_near_single_precision(make, policy):
    x = waveforms()[0] * 30000 if make is embedding else frames()[0]
    single, half = make(), make(dtype=policy)
    expected = numpy(single(x))
    half.build(x.shape)
    half.set_weights(single.get_weights())
    output = half(x)
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_allclose(numpy(output), expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrameEmbedding(0), "width of at least 1. Received: width=0"),
        (lambda: ConvolutionalFrames(0), "width of at least 1. Received: width=0"),
        (lambda: FrameEmbedding(D)(np.ones((2, 500, 1), "float32")), r"waveforms \(batch, samples\)"),
        (lambda: ConvolutionalFrames(D)(frames()[0], mask=waveforms()[1]), r"\(3, 13\). Received: bool.*\(3, 997"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
