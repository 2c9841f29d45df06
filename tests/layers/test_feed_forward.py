from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.feed_forward import FeedForward

B, T, D, HIDDEN = 2, 7, 5, 11


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(83)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def example() -> np.ndarray:
    return np.random.default_rng(89).normal(size=(B, T, D)).astype("float32")


def mish(x):
    return x * ops.tanh(ops.softplus(x))


FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu_squared": lambda x: np.maximum(x, 0) ** 2,
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    mish: lambda x: x * np.tanh(np.log1p(np.exp(x))),
}


@pytest.mark.parametrize("activation", FUNCTIONS, ids=str)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("gated", [False, True])
def test_the_layer_equals_the_formula(activation, gated, use_bias):
    layer = FeedForward(HIDDEN, activation=activation, gated=gated, use_bias=use_bias)
    x = example()
    layer.build(x.shape)
    rng = np.random.default_rng(97)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])  # biases away from zero

    def linear(name, x):
        part = getattr(layer, name)
        return x @ numpy(part.kernel) + (numpy(part.bias) if use_bias else 0)

    function = FUNCTIONS[activation]
    hidden = function(linear("gate", x)) * linear("inner", x) if gated else function(linear("inner", x))
    np.testing.assert_allclose(numpy(layer(x)), linear("outer", hidden), rtol=1e-4, atol=1e-4)
    assert len(layer.weights) == (2 + gated) * (1 + use_bias)


def test_dropout_takes_hidden_features_in_training_alone():
    layer = FeedForward(1000, activation="linear", gated=True, dropout=0.3)
    x = np.ones((1, T, 2), "float32")
    layer.build(x.shape)
    layer.set_weights([np.full(w.shape, 0.5) for w in layer.weights])  # each hidden feature is 1.5 * 1.5
    plain, trained = numpy(layer(x)), numpy(layer(x, training=True))
    np.testing.assert_allclose(plain, 1000 * 1.5 * 1.5 * 0.5 + 0.5, rtol=1e-5)
    kept = (trained - 0.5) * 0.7 / (1.5 * 1.5 * 0.5)  # how many features are left
    np.testing.assert_allclose(kept, np.round(kept), atol=0.01)
    assert 600 < kept.min() < kept.max() < 800


@pytest.mark.parametrize("activation", ["relu_squared", "gelu_tanh", "silu", "gelu"])
def test_a_saved_model_gives_the_same_outputs(activation, tmp_path):
    inputs = keras.Input((None, D))
    model = keras.Model(inputs, FeedForward(HIDDEN, activation=activation, gated=True)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = example()
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
    assert loaded.layers[1].activation is model.layers[1].activation


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="relu_cubed"):
        FeedForward(HIDDEN, activation="relu_cubed")
