from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.additive import AdditiveAttention
from suite.layers.attention import MultiHeadAttention
from suite.layers.chunked import ChunkedAttention

B, T, S, D = 2, 13, 11, 10


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


class Watched(ChunkedAttention):
    """Remembers the shapes of scores."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = set()

    def score(self, query, key):
        scores = super().score(query, key)
        self.seen.add(tuple(scores.shape))
        return scores


@pytest.mark.parametrize("chunk", [4, 7, 12, 13])
def test_scores_are_made_in_blocks(chunk, rng):
    x, memory = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S))
    layer, plain = Watched(2, chunk=chunk), MultiHeadAttention(2)
    for one in (layer, plain):
        one.build(x.shape, memory.shape)
    plain.set_weights(layer.get_weights())
    output = layer(x, memory)
    assert all(queries * keys <= chunk**2 for _, _, queries, keys in layer.seen)
    np.testing.assert_allclose(numpy(output), numpy(plain(x, memory)), atol=1e-5)


def test_scores_of_any_size_neither_overflow_nor_vanish(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer, plain = ChunkedAttention(2, chunk=3, scale=1e4), MultiHeadAttention(2, scale=1e4)
    for one in (layer, plain):
        one.build(x.shape)
    plain.set_weights(layer.get_weights())
    for bias in (0, -1e6):
        call = {"bias": np.full((T, T), bias, "float32"), "causal": True}
        np.testing.assert_allclose(numpy(layer(x, **call)), numpy(plain(x, **call)), atol=1e-4)


def test_dropout_drops_its_share_of_weights_and_scales_the_others(rng):
    layer = ChunkedAttention(1, chunk=16, dropout=0.25)
    layer.build((1, 67, 67))
    layer.query_projection.kernel.assign(np.zeros((67, 67)))  # weights of 1 / 67
    layer.value_projection.kernel.assign(np.eye(67))
    layer.output_projection.kernel.assign(np.eye(67))
    x = np.broadcast_to(np.eye(67, dtype="float32"), (1, 67, 67))
    first, second = (67 * numpy(layer(x, training=True)) for _ in range(2))
    kept = first > 0.5
    np.testing.assert_allclose(first[kept], 1 / 0.75, rtol=1e-4)
    np.testing.assert_allclose(first[~kept], 0, atol=1e-6)
    assert abs(kept.mean() - 0.75) < 0.03  # of 4,489: four and a half standard deviations
    assert abs(kept.mean(1) - 0.75).max() < 0.25
    assert abs(kept.mean(2) - 0.75).max() < 0.25
    assert abs((kept & (second > 0.5)).mean() - 0.75**2) < 0.03  # another draw in each call
    gram = np.corrcoef(kept[0].astype(float))
    assert abs(gram[~np.eye(67, dtype=bool)]).max() < 0.6  # rows do not drop the same keys


def test_the_gradient_drops_the_same_weights(rng):
    """With a linear path from values to loss, value times gradient sums to the loss only if both dropped alike."""
    layer = ChunkedAttention(2, chunk=4, dropout=0.5, use_bias=False)
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer.build(x.shape)
    kernel = layer.value_projection.kernel
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = ops.sum(layer(x, training=True))
        gradient = tape.gradient(loss, kernel.value)
    elif keras.backend.backend() == "jax":
        import jax

        index = [w is kernel for w in layer.trainable_variables].index(True)
        rest = [w.value for w in layer.non_trainable_variables]

        def run(weights):
            return ops.sum(layer.stateless_call(weights, rest, x, training=True)[0])

        loss, found = jax.value_and_grad(run)([w.value for w in layer.trainable_variables])
        gradient = found[index]
    else:
        loss = ops.sum(layer(x, training=True))
        loss.backward()
        gradient = kernel.value.grad
    np.testing.assert_allclose((numpy(gradient) * numpy(kernel)).sum(), numpy(loss), rtol=1e-3)


def test_an_override_of_weigh_is_not_bypassed(rng):
    class First(ChunkedAttention):
        """Reads the first key alone."""

        def weigh(self, query, key, mask):
            scores = self.score(query, key)
            return ops.broadcast_to(ops.one_hot(ops.zeros((1,), "int32"), T), ops.shape(scores))

    x = rng.normal(size=(B, T, D)).astype("float32")
    output = numpy(First(2, chunk=4)(x))
    np.testing.assert_allclose(output, np.broadcast_to(output[:, :1], output.shape), atol=1e-6)


def test_variants_combine(rng):
    class Both(AdditiveAttention, ChunkedAttention):
        pass

    x = rng.normal(size=(B, T, D)).astype("float32")
    both, additive = Both(2, chunk=4), AdditiveAttention(2)
    for layer in (both, additive):
        layer.build(x.shape)
    additive.set_weights(both.get_weights())
    np.testing.assert_allclose(numpy(both(x, causal=True)), numpy(additive(x, causal=True)), atol=1e-5)


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"chunk of at least 1. Received: chunk=0"):
        ChunkedAttention(2, chunk=0)
