from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers

B, T, D = 2, 7, 6


@pytest.fixture
def x():
    keras.utils.set_random_seed(83)
    return np.random.default_rng(89).normal(size=(B, T, D)).astype("float32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def test_a_block_norms_before_or_after_and_keeps_what_came_in(x):
    pre, post = (layers.EncoderBlock(2, feed_forward=5, norm=norm) for norm in ("pre", "post"))
    x = ops.convert_to_tensor(x)
    outputs = [numpy(block(x)) for block in (pre, post)]
    middle = x + pre.attention(pre.attention_norm(x))
    np.testing.assert_allclose(outputs[0], numpy(middle + pre.feed_forward(pre.feed_forward_norm(middle))), atol=1e-5)
    middle = post.attention_norm(x + post.attention(x))
    np.testing.assert_allclose(outputs[1], numpy(post.feed_forward_norm(middle + post.feed_forward(middle))), atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_stack_gives_normalised_features(x, norm):
    output = numpy(layers.Encoder(2, heads=2, feed_forward=5, norm=norm)(10 * x))
    np.testing.assert_allclose(output.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(output.std(-1), 1, atol=1e-3)


def test_dropout_falls_on_every_residual_branch(x):
    block = layers.EncoderBlock(layers.MultiHeadAttention(2), feed_forward=layers.FeedForward(5), dropout=0.999)
    np.testing.assert_allclose(numpy(block(x, training=True)), x, atol=1e-6)
    assert np.abs(numpy(block(x)) - x).max() > 0.1


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
