from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.class_token import ClassToken
from suite.layers.pooling import FirstPooling

B, T, D = 3, 7, 5


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(131)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def example() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(137).normal(size=(B, T, D)).astype("float32")
    return x, np.arange(T) < np.array([[7], [4], [0]])


def test_the_token_stands_in_front_and_is_real():
    layer, (x, mask) = ClassToken(), example()
    output = numpy(layer(x))
    token = np.broadcast_to(numpy(layer.token), (B, 1, D))
    np.testing.assert_array_equal(output, np.concatenate([token, x], axis=1))
    assert np.abs(token).min() > 0
    longer = ops.convert_to_numpy(layer.extend_mask(mask))
    np.testing.assert_array_equal(longer, np.concatenate([np.ones((B, 1), bool), mask], axis=1))


def test_the_mask_that_keras_carries_grows_with_the_sequence():
    ids = np.array([[0, 0, 0], [2, 0, 0]])  # the first row has nothing real but the token
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(7, D, mask_zero=True)(inputs)
    layer = ClassToken()
    model = keras.Model(inputs, FirstPooling()(layer(x)))
    np.testing.assert_allclose(numpy(model(ids)), np.broadcast_to(numpy(layer.token), (2, D)), atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_saved_model_gives_the_same_outputs_and_learns(policy, tmp_path):
    inputs, masks = keras.Input((None, D)), keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, masks], ClassToken(dtype=policy)(inputs, mask=masks))
    assert (model.output_shape, model.outputs[0].dtype) == ((None, None, D), policy.removeprefix("mixed_"))
    x, mask = example()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded([x, mask])), numpy(model([x, mask])))
    before = model.get_weights()[0]
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch([x, mask], np.ones((B, T + 1, D)))
    assert np.abs(model.get_weights()[0] - before).min() > 1e-3


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"ClassToken expects mask.*shape \(3, 7\). Received: bool of shape \(3, 8\)"):
        ClassToken()(np.ones((B, T, D), "float32"), mask=np.ones((B, T + 1), bool))
