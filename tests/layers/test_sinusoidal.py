from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers import Sinusoidal

B, T, D = 2, 7, 22


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("endpoint", [True, False])
def test_sinusoidal_equals_the_formula(interleaved, endpoint):
    table = np.empty((T, D))
    for t, i in np.ndindex(T, D // 2):
        angle = t * 99.0 ** (-i / (D // 2 - 1 if endpoint else D // 2))
        sine, cosine = (2 * i, 2 * i + 1) if interleaved else (i, i + D // 2)
        table[t, sine], table[t, cosine] = np.sin(angle), np.cos(angle)
    x = np.random.default_rng(29).normal(size=(B, T, D)).astype("float32")
    layer = Sinusoidal(wavelength=99.0, interleaved=interleaved, endpoint=endpoint)
    np.testing.assert_allclose(numpy(layer(x)), x + table, atol=1e-5)


def test_the_defaults_equal_keras_hub():
    from keras_hub.layers import SinePositionEncoding

    x = np.zeros((B, 131, D), "float32")
    np.testing.assert_allclose(numpy(Sinusoidal()(x)), numpy(SinePositionEncoding()(x)), atol=1e-5)
    at = np.array([[0, 1, 2, 3, 0, 1, 2], [70, 71, 2, 9, 90, 11, 4]])
    theirs = SinePositionEncoding(max_wavelength=99)(x[:, :T], positions=at.astype("float32"))
    np.testing.assert_allclose(numpy(Sinusoidal(wavelength=99)(x[:, :T], positions=at)), numpy(theirs), atol=1e-5)


def test_halves_with_an_endpoint_are_the_table_of_whisper():
    """As `sinusoids` in its `model.py`."""
    increment = np.log(10_000) / (D // 2 - 1)
    scaled = np.arange(T)[:, None] * np.exp(-increment * np.arange(D // 2))
    table = np.concatenate([np.sin(scaled), np.cos(scaled)], axis=1)
    ours = numpy(Sinusoidal(interleaved=False, endpoint=True)(np.zeros((1, T, D), "float32")))[0]
    np.testing.assert_allclose(ours, table, atol=1e-6)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match=r"even width. Received: inputs of shape \(2, 7, 5\)"):
        Sinusoidal()(np.zeros((B, T, 5), "float32"))
