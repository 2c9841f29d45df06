from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers import Learned

B, T, D, LENGTH = 2, 7, 11, 13


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def test_each_position_adds_its_row():
    layer = Learned(LENGTH)
    x = np.random.default_rng(3).normal(size=(B, T, D)).astype("float32")
    layer.build(x.shape)
    table = numpy(layer.table)
    assert table.shape == (LENGTH, D)
    assert 0.01 < table.std() < 0.03
    at = np.array([[0, 1, 2, 0, 1, 2, 3], [12, 5, 5, 0, 7, 9, 11]])
    np.testing.assert_allclose(numpy(layer(x, positions=at)), x + table[at], atol=1e-6)
    np.testing.assert_allclose(numpy(layer(x)), x + table[:T], atol=1e-6)


def test_it_learns_the_rows_that_it_read():
    model = keras.Sequential([keras.Input((T, D)), Learned(LENGTH)])
    before = numpy(model.weights[0])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.zeros((B, T, D), "float32"), np.ones((B, T, D), "float32"))
    changed = np.abs(numpy(model.weights[0]) - before).max(axis=1) > 1e-4
    np.testing.assert_array_equal(changed, np.arange(LENGTH) < T)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (np.array([0, 1, 13]), r"Learned expects positions from 0 to 12. Received: positions from 0 to 13"),
        (np.array([[0, 1, 2], [-1, 2, 4]]), r"Received: positions from -1 to 4"),
    ],
)
def test_known_positions_beyond_the_table_are_refused(at, message):
    with pytest.raises(ValueError, match=message):
        Learned(LENGTH)(np.zeros((B, 3, D), "float32"), positions=at)


def test_a_known_length_beyond_the_table_is_refused_where_a_model_is_made_or_first_runs():
    def run():
        inputs = keras.Input((17, D))
        keras.Model(inputs, Learned(LENGTH)(inputs)).predict_on_batch(np.zeros((B, 17, D), "float32"))

    with pytest.raises(ValueError, match=r"positions from 0 to 12. Received: positions from 0 to 16"):
        run()


def test_a_loop_that_runs_beyond_the_table_ends_in_nan():
    class Loop(keras.layers.Layer):
        """The sum over so many steps, each at its own position."""

        def __init__(self):
            super().__init__()
            self.position = Learned(5)

        def build(self, inputs_shape):
            self.position.build(inputs_shape)

        def call(self, inputs, steps):
            def step(t, x):
                return t + 1, self.position.embed(x, ops.reshape(t, (1,)))

            return ops.while_loop(lambda t, x: t < steps[0, 0], step, (ops.zeros((), "int32"), inputs))[1]

    x, steps = keras.Input((1, D)), keras.Input((1,), dtype="int32")
    model = keras.Model([x, steps], Loop()(x, steps))

    def run(number):
        return model.predict_on_batch([np.zeros((B, 1, D), "float32"), np.full((B, 1), number, "int32")])

    np.testing.assert_allclose(run(5)[0, 0], numpy(model.weights[0]).sum(axis=0), atol=1e-6)
    if keras.backend.backend() == "torch":  # which runs loops as they are
        with pytest.raises(ValueError, match="Received: positions from 5 to 5"):
            run(6)
    else:
        assert np.isnan(run(6)).all()


def test_a_length_of_0_is_refused():
    with pytest.raises(ValueError, match=r"length of at least 1\. Received: length=0"):
        Learned(0)
