from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.blocks import EncoderBlock

B, T, D = 2, 7, 6


@pytest.fixture
def x():
    keras.utils.set_random_seed(83)
    return np.random.default_rng(89).normal(size=(B, T, D)).astype("float32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("placement", ["pre", "post", "sandwich"])
def test_a_block_is_attention_then_feed_forward_on_their_paths(x, placement, norm):
    block = EncoderBlock(2, feed_forward=5, placement=placement, norm=norm, layer_scale=0.3)
    output = numpy(block(x))
    middle = x
    for path, branch in zip(block.residuals, (block.attention, block.feed_forward), strict=True):
        middle = path.leave(middle, branch(path.enter(middle)))
    np.testing.assert_allclose(output, numpy(middle), atol=1e-6)
    assert sum("norm" in w.path for w in block.weights) == {"layer": 2, "rms": 1}[norm] * (
        4 if placement == "sandwich" else 2
    )


def test_a_parallel_block_reads_one_normalised_input(x):
    block = EncoderBlock(2, feed_forward=5, parallel=True)
    output = numpy(block(x))
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    expected = x + numpy(block.attention(normed)) + numpy(block.feed_forward(normed))
    np.testing.assert_allclose(output, expected, atol=1e-5)
    assert len(block.residuals) == 1


def test_dropout_falls_on_every_residual_branch(x):
    block = EncoderBlock(layers.MultiHeadAttention(2), feed_forward=layers.FeedForward(5), dropout=0.999)
    np.testing.assert_allclose(numpy(block(x, training=True)), x, atol=1e-6)
    assert np.abs(numpy(block(x)) - x).max() > 0.1


def test_everything_that_attention_takes_reaches_it(x):
    block = EncoderBlock(layers.MultiHeadAttention(3, position=layers.Rotary()), feed_forward=5)
    mask, pair_mask = np.arange(T) < [[T], [4]], np.tri(T, k=2, dtype=bool).T
    options = {"bias": np.linspace(0, 3, T * T, dtype="float32").reshape(T, T), "positions": np.arange(T) // 2}
    options |= {"mask": mask, "pair_mask": pair_mask, "causal": True}
    output = numpy(block(x, **options))
    first, second = block.residuals
    middle = x + numpy(block.attention(first.enter(x), **options))
    np.testing.assert_allclose(output, middle + numpy(block.feed_forward(second.enter(middle))), atol=1e-5)
    for name in options:
        assert np.abs(numpy(block(x, **{**options, name: None if name != "causal" else False})) - output).max() > 1e-4


def test_any_layer_may_take_the_place_of_attention(x):
    class Mean(keras.layers.Layer):
        def call(self, inputs):
            return ops.zeros_like(inputs) + ops.mean(inputs, axis=1, keepdims=True)

    block = EncoderBlock(Mean(), feed_forward=keras.layers.Dense(D), norm=keras.layers.Identity())
    middle = x + x.mean(1, keepdims=True)
    np.testing.assert_allclose(numpy(block(x)), middle + numpy(block.feed_forward(middle)), atol=1e-5)


OPTIONS = {
    "dropout": 0.1,
    "norm": "rms",
    "placement": "sandwich",
    "parallel": True,
    "layer_scale": 0.2,
    "drop_path": 0.3,
}


def test_the_configuration_holds_every_argument(x):
    parts = {"attention": layers.MultiHeadAttention(2), "feed_forward": layers.FeedForward(5)}
    config = EncoderBlock(**parts, **OPTIONS).get_config()
    assert {k: config[k] for k in OPTIONS} == OPTIONS
    assert {k: config[k] for k in parts} == {k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}
    assert EncoderBlock.from_config(config).get_config() == config


@pytest.mark.parametrize("options", [{}, OPTIONS, {"norm": keras.layers.LayerNormalization(epsilon=0.5)}])
def test_a_saved_block_gives_the_same_outputs(x, options, tmp_path):
    inputs, mask = keras.Input((None, D)), keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, mask], EncoderBlock(2, feed_forward=5, **options)(inputs, mask=mask))
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(len(weight.path)).normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    arrays = [x, np.arange(T) < [[T], [4]]]
    expected = model.predict_on_batch(arrays)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras").predict_on_batch(arrays), expected)


def test_unknown_norms_and_placements_are_refused():
    with pytest.raises(ValueError, match=r"one of .'layer', 'rms'. or a layer\. Received: norm='pre'"):
        EncoderBlock(2, feed_forward=3, norm="pre")
    with pytest.raises(ValueError, match="placement='middle'"):
        EncoderBlock(2, feed_forward=3, placement="middle")


def test_a_convolution_equals_the_formula(x):
    block = layers.ConvolutionBlock(3, dilation=2)
    mask = np.arange(T) < np.array([[T], [4]])
    output = numpy(block(x, mask=mask))
    kernel, bias = numpy(block.filters.kernel), numpy(block.filters.bias)
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * mask[..., None]
    padded = np.pad(normed, ((0, 0), (2, 2), (0, 0)))
    both = bias + sum(padded[:, 2 * j : 2 * j + T] @ kernel[j] for j in range(3))
    value, gate = both[..., :D], both[..., D:]
    np.testing.assert_allclose(output, x + value / (1 + np.exp(-gate)), atol=1e-5)
