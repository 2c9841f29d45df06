from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.patch import ConvolutionalTokenizer, PatchEmbedding

B, CHANNELS, D = 2, 5, 11


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(101)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def images(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(103).normal(size=(B, rows, columns, CHANNELS)).astype("float32")


def patches(layer, x):
    """Each patch through the linear map, one at a time."""
    kernel, bias = map(numpy, layer.weights)
    p, q = layer.sides
    rows, columns = layer.grid(x.shape)
    cut = [x[:, i * p : (i + 1) * p, j * q : (j + 1) * q] for i in range(rows) for j in range(columns)]
    return np.stack([np.einsum("bpqi,pqid->bd", patch, kernel) + bias for patch in cut], axis=1)


@pytest.mark.parametrize("patch", [3, (3, 7)])
def test_patches_equal_the_formula(patch):
    layer = PatchEmbedding(D, patch=patch)
    x = images(6, 21)
    layer.build(x.shape)
    layer.projection.bias.assign(np.arange(D))
    assert layer.grid(x.shape) == (2, 7 if patch == 3 else 3)
    np.testing.assert_allclose(numpy(layer(x)), patches(layer, x), atol=1e-4)


def test_padding_is_zeros_at_the_bottom_and_right():
    layer = PatchEmbedding(D, patch=(3, 7), pad=True)
    x = images(5, 15)
    padded = np.pad(x, ((0, 0), (0, 1), (0, 6), (0, 0)))
    output = numpy(layer(x))
    assert layer.grid(x.shape) == layer.grid(padded.shape) == (2, 3)
    np.testing.assert_allclose(output, patches(layer, padded), atol=1e-4)
    np.testing.assert_allclose(numpy(layer(padded)), output, atol=1e-5)


def slide(x, size, step, function):
    """What a function makes of each window of an image (B, R, C, I), as an image."""
    at = [range(0, n - size + 1, step) for n in x.shape[1:3]]
    return np.stack([np.stack([function(x[:, i : i + size, j : j + size]) for j in at[1]], 1) for i in at[0]], 1)


def reference_tokenizer(layer, x):
    """Convolution, ReLU and maximum, token by token."""
    for convolution in layer.convolutions:
        kernel, half = numpy(convolution.kernel), layer.kernel // 2
        x = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
        x = slide(x, layer.kernel, layer.stride, lambda w, kernel=kernel: np.einsum("bpqi,pqid->bd", w, kernel))
        x = np.pad(np.maximum(x, 0), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        x = slide(x, 3, 2, lambda w: w.max((1, 2)))
    return x


@pytest.mark.parametrize(("depth", "kernel", "stride"), [(1, 3, 1), (2, 3, 1), (1, 5, 2), (2, 5, 3)])
def test_the_tokenizer_equals_the_formula(depth, kernel, stride):
    layer = ConvolutionalTokenizer(D, depth=depth, channels=7, kernel=kernel, stride=stride)
    x = images(14, 23)
    output, expected = numpy(layer(x)), reference_tokenizer(layer, x)
    assert layer.grid(x.shape) == expected.shape[1:3]
    np.testing.assert_allclose(output, expected.reshape(B, -1, D), atol=1e-4)


MAKE = {
    "patches": lambda **k: PatchEmbedding(D, patch=3, **k),
    "padded": lambda **k: PatchEmbedding(D, patch=(3, 5), pad=True, use_bias=False, **k),
    "tokenizer": lambda **k: ConvolutionalTokenizer(D, depth=2, channels=7, kernel=5, stride=2, **k),
}


@pytest.mark.parametrize("name", MAKE)
def test_one_saved_model_reads_every_resolution(name, tmp_path):
    inputs = keras.Input((None, None, CHANNELS))
    model = keras.Model(inputs, MAKE[name]()(inputs))
    assert model.output_shape == (None, None, D)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[1].get_config() == model.layers[1].get_config()
    for size in ((6, 21), (12, 9)):
        x = images(*size)
        rows, columns = model.layers[1].grid(x.shape)
        assert model.layers[1].compute_output_shape(x.shape) == (B, rows * columns, D)
        output = model.predict_on_batch(x)
        assert output.shape == (B, rows * columns, D)
        np.testing.assert_array_equal(loaded.predict_on_batch(x), output)
        np.testing.assert_allclose(model.predict_on_batch(x[1:]), output[1:], atol=1e-5)  # rows do not meet


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", MAKE)
def test_half_precision_stays_near_single_precision(name, policy):
    x = images(6, 9)
    single, half = MAKE[name](), MAKE[name](dtype=policy)
    expected = numpy(single(x))
    half.build(x.shape)
    half.set_weights(single.get_weights())
    output = half(x)
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_allclose(numpy(output), expected, atol=0.05, rtol=0.05)


def test_the_grid_of_unknown_sizes_is_unknown():
    assert PatchEmbedding(D, patch=3).grid((None, None, 9, CHANNELS)) == (None, 3)
    assert ConvolutionalTokenizer(D).grid((None, 9, None, CHANNELS)) == (5, None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatchEmbedding(D, patch=0), "patch of one or two sides.*Received: width=11, patch=0"),
        (lambda: PatchEmbedding(D, patch=(3, 3, 3)), r"patch=\(3, 3, 3\)"),
        (lambda: PatchEmbedding(0), "width=0"),
        (lambda: PatchEmbedding(D, patch=(3, 5))(images(6, 9)), "patches of 3 x 5 divide.*Received: images of 6 x 9"),
        (lambda: PatchEmbedding(D, patch=4)(keras.Input((6, None, CHANNELS))), "4 x 4 divide.*images of 6 x None"),
        (lambda: PatchEmbedding(D)(images(6, 9)[0]), r"expects images \(batch.*Received: shape \(6, 9, 5\)"),
        (lambda: ConvolutionalTokenizer(D, kernel=4), "odd kernel.*kernel=4"),
        (lambda: ConvolutionalTokenizer(D, depth=0), "depth=0"),
        (lambda: ConvolutionalTokenizer(D)(images(6, 9)[0]), r"expects images \(batch.*shape \(6, 9, 5\)"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the others always know sizes when they compute")
def test_sizes_unknown_until_a_graph_runs_are_checked_there():
    import tensorflow as tf

    layer = PatchEmbedding(D, patch=4)
    layer.build((None, None, None, CHANNELS))
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, CHANNELS))])
    assert tuple(run(images(8, 12)).shape) == (B, 6, D)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(images(8, 13))
