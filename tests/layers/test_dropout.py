from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.dropout import Dropout

SHAPE = (7, 11, 13)  # 13 is no multiple of the values that share a random word


def dropped(layer: Dropout, x: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(layer(x, training=True)))


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.999])
def test_each_value_is_dropped_as_often_as_asked_and_the_mean_stays(rate):
    layer = Dropout(rate, seed=3)
    zeros = np.stack([dropped(layer, np.ones(SHAPE, "float32")) == 0 for _ in range(300)])
    # Six standard errors: of the draws, and of the threshold, which is drawn once a call.
    error = 6 * (np.sqrt(rate * (1 - rate) / zeros.size) + 1 / 512 / np.sqrt(len(zeros)))
    assert abs(zeros.mean() - rate) < error
    kept = dropped(layer, np.ones(SHAPE, "float32"))
    np.testing.assert_allclose(kept[kept != 0], 1 / (1 - rate), rtol=1e-5)


def test_values_are_dropped_independently():
    layer = Dropout(0.5, seed=5)
    zeros = np.stack([dropped(layer, np.ones(SHAPE, "float32")) == 0 for _ in range(50)]).reshape(-1, SHAPE[-1])
    correlation = np.corrcoef(zeros, rowvar=False) - np.eye(SHAPE[-1])
    assert np.abs(correlation).max() < 0.1  # six standard errors of 3,850 rows
    assert len(np.unique(zeros, axis=0)) > 1000


def test_the_seed_decides():
    x = np.ones(SHAPE, "float32")
    first, again, other = (dropped(Dropout(0.5, seed=seed), x) for seed in (3, 3, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_gradient_is_that_of_what_was_kept():
    inputs = keras.Input(SHAPE[1:])
    scale = keras.layers.EinsumDense("btd,d->btd", SHAPE[1:], kernel_initializer="ones")
    model = keras.Model(inputs, Dropout(0.5, seed=3)(scale(inputs)))
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, y: ops.sum(y), jit_compile=False)
    model.train_on_batch(np.ones(SHAPE, "float32"), np.zeros(SHAPE, "float32"))
    expected = 1 - dropped(Dropout(0.5, seed=3), np.ones(SHAPE, "float32")).sum((0, 1))
    np.testing.assert_allclose(ops.convert_to_numpy(scale.kernel), expected, rtol=1e-5)


class Dot(keras.layers.Layer):
    """Products of all vectors of (B, T, D) with one another, (B, T, T): both last axes are as long as the text."""

    def build(self, shape):
        self.scale = self.add_weight(initializer="ones")

    def call(self, x):
        return self.scale * ops.matmul(x, ops.swapaxes(x, 1, 2))


class Batches(keras.utils.PyDataset):
    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        return self.arrays[index], self.arrays[index]


def test_axes_may_be_unknown_until_it_runs():
    inputs = keras.Input((None, 1))
    model = keras.Model(inputs, Dropout(0.5, seed=3)(Dot()(inputs)))
    model.compile(keras.optimizers.SGD(0.0), loss=lambda _, y: ops.mean(y), jit_compile=False)
    batches = [np.ones((40, length, 1), "float32") for length in (5, 9, 13)]
    losses = []
    model.fit(
        Batches(batches),  # of which Keras takes the length to be open
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: losses.append(logs["loss"]))],
        shuffle=False,
        verbose=0,
    )
    assert 0.8 < np.mean(losses) < 1.2


@pytest.mark.parametrize("options", [{"rate": 0.0}, {"rate": 1.0}, {"rate": 0.5, "noise_shape": (None, 1, 1)}])
def test_the_rest_is_left_to_keras(options):
    found = dropped(Dropout(**options, seed=3), np.ones(SHAPE, "float32"))
    expected = ops.convert_to_numpy(keras.layers.Dropout(**options, seed=3)(np.ones(SHAPE, "float32"), training=True))
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_dropped_outside_training():
    x = np.ones(SHAPE, "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(Dropout(0.5)(x)), x)


def test_half_precision_stays():
    x = ops.cast(np.ones(SHAPE), "bfloat16")
    assert keras.backend.standardize_dtype(Dropout(0.5, dtype="bfloat16")(x, training=True).dtype) == "bfloat16"
