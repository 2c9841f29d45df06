"""A layer that is held to training acts there, and nowhere else."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers.training_only import TrainingOnly

B, H, W = 5, 3, 7


@pytest.fixture
def pictures():
    return np.random.default_rng(131).uniform(0, 255, (B, H, W, 1)).astype("float32")


def run(layer, x, **options):
    return keras.ops.convert_to_numpy(layer(x, **options))


def test_a_direct_call_changes_nothing_and_training_does(pictures):
    plain = keras.layers.RandomFlip("horizontal", seed=1)
    assert np.any(run(plain, pictures) != pictures)  # what the layer is made for
    held = TrainingOnly(keras.layers.RandomFlip("horizontal", seed=1))
    for training in (None, False):
        np.testing.assert_array_equal(run(held, pictures, training=training), pictures)
    flipped = run(held, pictures, training=True)
    turned = np.any(flipped != pictures, axis=(1, 2, 3))
    assert turned.any()
    np.testing.assert_array_equal(flipped[turned], pictures[turned][:, :, ::-1])


def test_a_model_is_saved_with_it_and_trains_its_weights(pictures, tmp_path):
    inputs = keras.Input((H, W, 1))
    x = TrainingOnly(keras.layers.Dense(1, kernel_initializer="ones", name="inner"), name="held")(inputs)
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(1e-6), "mse")
    model.train_on_batch(pictures, np.zeros_like(pictures))
    assert keras.ops.convert_to_numpy(model.trainable_weights[0]).item() < 1
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, pictures), pictures)
    np.testing.assert_allclose(run(loaded, pictures, training=True), run(model, pictures, training=True), rtol=1e-6)


def test_what_is_no_layer_is_refused():
    with pytest.raises(ValueError, match=r"expects a layer\. Received: layer=<function"):
        TrainingOnly(run)
