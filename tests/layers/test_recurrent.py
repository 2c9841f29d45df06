"""LSTM and GRU are Keras's layers but for rounding: values and gradients, both directions, any mask."""

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers import recurrent

B, T, D, H = 3, 7, 5, 11
MASKS = {
    "none": None,
    "holes": np.array([[0, 0, 1, 0, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]], bool),
}


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def pair(cell, directions, **settings):
    """Keras's layer and ours, with the same weights away from their first values."""
    made = []
    for kinds in (keras.layers, layers):
        layer = getattr(kinds, cell)(H, return_sequences=True, name="one", **settings)
        made.append(kinds.Bidirectional(layer, name="both", dtype=settings.get("dtype")) if directions == 2 else layer)
        made[-1].build((B, T, D))
    random = np.random.default_rng(1)
    made[0].set_weights([random.normal(scale=0.4, size=weight.shape) for weight in made[0].weights])
    made[1].set_weights(made[0].get_weights())
    return made


class Scored(keras.Model):
    """Inputs that learn, and a layer: the gradients of both follow from a step of plain SGD."""

    def __init__(self, layer, x):
        super().__init__()
        self.layer = layer
        self.x = self.add_weight(shape=x.shape, initializer="zeros", name="x")
        self.x.assign(x)

    def call(self, inputs):
        number, *mask = inputs
        return self.layer(ops.cast(self.x, self.compute_dtype) + number * 0, mask=mask[0] if mask else None)


def step(layer, mask):
    """Outputs, and the gradients of input and weights of a loss that weighs every output differently."""
    random = np.random.default_rng(2)
    model = Scored(layer, random.normal(size=(B, T, D)).astype("float32"))
    inputs = [np.zeros((B, 1, 1), "float32"), *([] if mask is None else [mask])]
    y = numpy(model(inputs))
    target = random.normal(size=y.shape).astype("float32")
    before = [numpy(weight) for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(1.0), lambda target, y: ops.sum(ops.square(y - target)) / B)
    model.train_on_batch(inputs, target)
    return y, [old - numpy(weight) for old, weight in zip(before, model.trainable_weights, strict=True)]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_values_and_gradients_are_kerass(cell, directions, mask, monkeypatch):
    theirs, ours = pair(cell, directions)
    y, gradients = step(theirs, MASKS[mask])
    monkeypatch.setattr(getattr(keras.layers, cell), "inner_loop", None)  # ours computes by itself
    own, own_gradients = step(ours, MASKS[mask])
    np.testing.assert_allclose(own, y, atol=1e-6)
    assert len(gradients) == 1 + 3 * directions
    for mine, wanted in zip(own_gradients, gradients, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=2e-5)
        assert np.any(np.abs(wanted) > 1e-2)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_padding_is_not_read(cell):
    layer, mask = pair(cell, 2)[1], MASKS["holes"]
    x = np.random.default_rng(3).normal(size=(B, T, D)).astype("float32")
    padded = np.where(mask[..., None], x, np.float32("nan"))
    np.testing.assert_array_equal(numpy(layer(padded, mask=mask)), numpy(layer(x, mask=mask)))


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_bfloat16_is_as_near_to_float32_as_kerass(cell):
    (single, _), (theirs, ours) = pair(cell, 2), pair(cell, 2, dtype="mixed_bfloat16")
    wanted, wanted_gradients = step(single, MASKS["holes"])
    for layer in (theirs, ours):
        y, gradients = step(layer, MASKS["holes"])
        np.testing.assert_allclose(y, wanted, atol=0.03)
        for mine, wanted_gradient in zip(gradients, wanted_gradients, strict=True):
            assert np.abs(mine - wanted_gradient).max() < 0.03 * np.abs(wanted_gradient).max() + 0.03
    assert keras.backend.standardize_dtype(ours(np.ones((B, T, D), "float32")).dtype) == "bfloat16"


@pytest.mark.parametrize(
    "settings",
    [
        {"go_backwards": True},
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"use_bias": False},
        {"return_sequences": False},
        {"unroll": True},
    ],
    ids=lambda settings: next(iter(settings)),
)
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_what_has_no_gradient_of_its_own_is_kerass_layer(cell, settings):
    theirs, ours = (
        getattr(kinds, cell)(H, **{"return_sequences": True, **settings}) for kinds in (keras.layers, layers)
    )
    x = np.random.default_rng(3).normal(size=(B, T, D)).astype("float32")
    theirs.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(numpy(ours(x)), numpy(theirs(x)), atol=1e-6)


@pytest.mark.parametrize("merge", ["sum", None])
def test_other_ways_to_merge_directions_are_kerass(merge):
    theirs, ours = (
        kinds.Bidirectional(kinds.LSTM(H, return_sequences=True), merge_mode=merge) for kinds in (keras.layers, layers)
    )
    x = np.random.default_rng(3).normal(size=(B, T, D)).astype("float32")
    theirs.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    for mine, wanted in zip(keras.tree.flatten(ours(x)), keras.tree.flatten(theirs(x)), strict=True):
        np.testing.assert_allclose(numpy(mine), numpy(wanted), atol=1e-6)


def test_a_first_state_is_kerass():
    theirs, ours = pair("GRU", 1)
    x, state = np.ones((B, T, D), "float32"), np.full((B, H), 0.5, "float32")
    np.testing.assert_allclose(
        numpy(ours(x, initial_state=[state])), numpy(theirs(x, initial_state=[state])), atol=1e-6
    )


def test_an_accelerator_takes_kerass_kernels(monkeypatch):
    layer = layers.LSTM(H, return_sequences=True)
    assert recurrent._applies(layer)
    monkeypatch.setattr(recurrent, "_accelerated", lambda: True)
    assert not recurrent._applies(layer)


def test_weights_are_those_of_kerass_layer_in_the_same_order():
    theirs, ours = pair("LSTM", 2)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
