"""Convolutions of several widths side by side: values, reach, padding, refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from suite.models import textcnn

B, T, D = 2, 11, 5


def model(**options) -> keras.Model:
    keras.utils.set_random_seed(83)
    x, mask = keras.Input((None, D), name="x"), keras.Input((None,), dtype="bool", name="mask")
    return keras.Model([x, mask], textcnn.encoder(textcnn.Config(**options))(x, mask))


def outputs(built: keras.Model, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(built([x, mask], training=False)))


@pytest.fixture
def vectors():
    return np.random.default_rng(89).normal(size=(B, T, D)).astype("float32"), np.arange(T) < np.array([[11], [6]])


def test_each_branch_is_a_rectified_convolution(vectors):
    x, mask = vectors
    built = model(width=6, windows=[1, 3])
    found = outputs(built, x, mask)
    padded = np.pad(np.where(mask[..., None], x, 0), [(0, 0), (1, 1), (0, 0)])
    for window, columns in ((1, slice(0, 3)), (3, slice(3, 6))):
        kernel, bias = built.get_layer(f"window_{window}").get_weights()  # (window, D, 3)
        start = 1 - window // 2
        seen = np.stack([padded[:, start + j : start + j + T] for j in range(window)], axis=2)  # (B, T, window, D)
        expected = np.maximum(np.einsum("btwd,wdf->btf", seen, kernel) + bias, 0)
        np.testing.assert_allclose(found[..., columns], expected, atol=1e-5)


def test_what_stands_under_padding_and_how_much_changes_nothing(vectors):
    x, mask = vectors
    built = model(width=6, windows=[2, 3, 5])
    before = outputs(built, x, mask)
    refilled = outputs(built, np.where(mask[..., None], x, 50.0).astype("float32"), mask)
    np.testing.assert_allclose(refilled[mask], before[mask], atol=1e-5)
    np.testing.assert_allclose(outputs(built, x[1:, :6], mask[1:, :6])[0], before[1, :6], atol=1e-5)


def test_sizes_that_do_not_fit():
    with pytest.raises(ValidationError, match="width 100 is not divisible by the 3 windows"):
        textcnn.Config(width=100)
    with pytest.raises(ValidationError, match="different sizes"):
        textcnn.Config(width=6, windows=[3, 3])
    with pytest.raises(ValidationError, match="different sizes"):
        textcnn.Config(width=6, windows=[0, 3])
