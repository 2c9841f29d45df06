"""Levels beside the rest of a sound: its volume and its padding do not count."""

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


def test_it_equals_a_plain_reference():
    found = numpy(RelativeLevel(30.0)(X, mask=MASK))
    for row in range(B):
        real = X[row][MASK[row]]
        levels = np.maximum(real, real.max() - 3 * math.log(10))
        np.testing.assert_allclose(found[row][MASK[row]], (levels - levels.mean()) / levels.std(), atol=1e-4)
        assert not found[row][~MASK[row]].any()


def test_neither_volume_nor_padding_counts():
    layer = RelativeLevel()
    expected = numpy(layer(X, mask=MASK))
    padded = np.where(MASK[..., None], X, 99).astype("float32")
    np.testing.assert_array_equal(numpy(layer(padded, mask=MASK)), expected)
    np.testing.assert_allclose(numpy(layer(X - 3, mask=MASK)), expected, atol=1e-5)
    np.testing.assert_allclose(numpy(layer(X[:1]))[0], expected[0], atol=1e-6)


def test_a_row_of_padding_and_a_silent_sound_are_numbers():
    found = numpy(RelativeLevel()(np.full((2, F, M), -23.0, "float32"), mask=np.arange(F) < np.array([[0], [F]])))
    np.testing.assert_array_equal(found, np.zeros((2, F, M)))


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match=r"positive span.*span=0"):
        RelativeLevel(0)
    with pytest.raises(ValueError, match="RelativeLevel expects mask to be boolean"):
        RelativeLevel()(X, mask=MASK[:, 1:])
