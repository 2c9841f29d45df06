"""Levels below a sound's loudest band: its volume and its padding do not count."""

import math

import keras
import numpy as np
import pytest

from suite.layers.relative_level import RelativeLevel

B, F, M = 3, 17, 5
X = np.random.default_rng(3).normal(-5, 6, (B, F, M)).astype("float32")
MASK = np.arange(F) < np.array([[17], [7], [1]])


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def test_it_equals_decibels_below_the_loudest():
    found = numpy(RelativeLevel(30.0)(X, mask=MASK))
    for row in range(B):
        real = X[row][MASK[row]]
        decibels = 10 / math.log(10) * (real - real.max())
        np.testing.assert_allclose(found[row][MASK[row]], 1 + np.clip(decibels, -30, 0) / 15, atol=1e-5)
        assert not found[row][~MASK[row]].any()
    assert found.max() == 1
    assert found.min() == -1


def test_neither_volume_nor_padding_counts():
    layer = RelativeLevel()
    expected = numpy(layer(X, mask=MASK))
    padded = np.where(MASK[..., None], X, 99).astype("float32")
    np.testing.assert_array_equal(numpy(layer(padded, mask=MASK)), expected)
    np.testing.assert_allclose(numpy(layer(X - 3, mask=MASK)), expected, atol=1e-5)
    np.testing.assert_array_equal(numpy(layer(X[:1]))[0], expected[0])


def test_a_row_of_padding_and_a_silent_sound_are_numbers():
    found = numpy(RelativeLevel()(np.full((2, F, M), -23.0, "float32"), mask=np.arange(F) < np.array([[0], [F]])))
    np.testing.assert_array_equal(found, np.stack([np.zeros((F, M)), np.ones((F, M))]))


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match=r"positive span.*span=0"):
        RelativeLevel(0)
    with pytest.raises(ValueError, match="RelativeLevel expects mask to be boolean"):
        RelativeLevel()(X, mask=MASK[:, 1:])
