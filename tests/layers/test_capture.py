"""Looking inside a model that somebody built."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers

B, T, S, D = 2, 5, 7, 6


@pytest.fixture
def model():
    query, memory = keras.Input((None, D)), keras.Input((None, D))
    shared = layers.MultiHeadAttention(3, name="shared")
    x = layers.EncoderBlock(layers.MultiHeadAttention(2, dropout=0.5, name="attention"), feed_forward=5, name="block")(
        query
    )
    x = shared(shared(x), memory)
    return keras.Model([query, memory], keras.layers.Dense(1)(x))


@pytest.fixture
def inputs():
    rng = np.random.default_rng(2)
    return [rng.normal(size=(B, n, D)).astype("float32") for n in (T, S)]


def test_every_call_of_every_layer_is_captured(model, inputs):
    weights = layers.capture_attention(model, inputs)
    assert {path: w.shape for path, w in weights.items()} == {
        "block/attention": (B, 2, T, T),
        "shared": (B, 3, T, T),
        "shared#2": (B, 3, T, S),
    }
    for w in weights.values():
        assert isinstance(w, np.ndarray)
        np.testing.assert_allclose(w.sum(-1), 1, atol=1e-5)  # no dropout


def test_they_are_the_weights_that_the_layer_returns(inputs):
    layer = layers.MultiHeadAttention(2, name="one")
    mask = np.arange(T) < [[3], [T]]
    (captured,) = layers.capture_attention(layer, inputs[0], mask=mask, causal=True).values()
    _, weights = layer(inputs[0], mask=mask, causal=True, return_weights=True)
    np.testing.assert_array_equal(captured, ops.convert_to_numpy(weights))


def test_capturing_leaves_the_model_as_it_was(model, inputs):
    before = model.predict_on_batch(inputs)
    layers.capture_attention(model, inputs)
    np.testing.assert_array_equal(model.predict_on_batch(inputs), before)


def test_a_compiled_and_trained_model_can_be_looked_into(model, inputs):
    model.compile("sgd", "mse")
    model.fit(inputs, np.zeros((B, T, 1)), verbose=0)
    assert len(layers.capture_attention(model, inputs)) == 3


def test_a_model_without_attention_is_refused(inputs):
    with pytest.raises(ValueError, match=r"calls a MultiHeadAttention.*Received:.*FeedForward"):
        layers.capture_attention(layers.FeedForward(3), inputs[0])
