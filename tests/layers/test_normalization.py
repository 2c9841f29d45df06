from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.normalization import LayerNormalization

B, T, D = 3, 5, 7


def example(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, size=(B, T, D)).astype("float32")


def trained(kind, **options) -> list[np.ndarray]:
    """What a step of gradient descent makes of a layer and of the inputs, which are weights in front of it."""
    layer = kind(epsilon=0.01, **options)
    inputs = keras.Input((T, D))
    x = keras.layers.EinsumDense("btd,td->btd", (T, D), kernel_initializer="ones")(inputs)
    model = keras.Model(inputs, layer(x))
    for weight, value in zip(layer.trainable_variables, example(3).reshape(-1, D), strict=False):
        weight.assign(value)
    model.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
    output = model.predict_on_batch(example(5))
    model.train_on_batch(example(5), example(7))
    return [output, *(ops.convert_to_numpy(weight) for weight in model.trainable_variables)]


@pytest.mark.parametrize("options", [{}, {"axis": 2}, {"center": False}, {"scale": False}])
def test_values_and_gradients_are_keras(options):
    for found, expected in zip(
        trained(LayerNormalization, **options), trained(keras.layers.LayerNormalization, **options), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_half_precision_is_normalised_in_single():
    layer = LayerNormalization(epsilon=1e-6, dtype="mixed_bfloat16")
    x = 300 + example(3)
    found = layer(ops.cast(x, "bfloat16"))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    rounded = ops.convert_to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32"))
    expected = (rounded - rounded.mean(-1, keepdims=True)) / (rounded.std(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(found, "float32")), expected, atol=0.02)
