from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from suite.layers.pooling import AttentionPooling, FirstPooling, MaxPooling, MeanPooling, Pooling

B, T, D = 3, 7, 5
POOLINGS = [MeanPooling, MaxPooling, FirstPooling, lambda **k: AttentionPooling(11, **k), AttentionPooling]
NAMES = ["mean", "max", "first", "attention", "attention_wide"]
every = pytest.mark.parametrize("make", POOLINGS, ids=NAMES)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(107)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def example() -> tuple[np.ndarray, np.ndarray]:
    """Rows of 7, 4 and no real positions, the second one with padding on both sides."""
    x = np.random.default_rng(109).normal(size=(B, T, D)).astype("float32")
    return x, np.array([[1] * 7, [0, 0, 1, 0, 1, 1, 1], [0] * 7], bool)


def reference(layer, x):
    """What the real positions (t, D) of one row give."""
    if isinstance(layer, AttentionPooling):
        query, kernel, bias = map(numpy, layer.get_weights())
        scores = np.exp(np.tanh(x @ kernel + bias) @ query)
        return scores @ x / scores.sum()
    return {MeanPooling: x.mean(0), MaxPooling: x.max(0), FirstPooling: x[0]}[type(layer)]


@every
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.lists(st.booleans(), min_size=T, max_size=T), min_size=B, max_size=B))
def test_pooling_equals_the_formula_for_every_mask(make, rows):
    layer, x, mask = make(), example()[0] - 2, np.array(rows)
    layer.build(x.shape)
    rng = np.random.default_rng(113)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    output = numpy(layer(x, mask=mask))
    expected = [reference(layer, row[real]) if real.any() else np.zeros(D) for row, real in zip(x, mask, strict=True)]
    np.testing.assert_allclose(output, expected, atol=1e-5)
    everything = [reference(layer, row) for row in x]
    np.testing.assert_allclose(numpy(layer(x)), everything, atol=1e-5)


@every
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_a_row_without_real_positions_is_exactly_zero(make, policy):
    layer, (x, mask) = make(dtype=policy), example()
    output = layer(x, mask=mask)
    assert keras.backend.standardize_dtype(output.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(numpy(output)[2], 0)
    assert np.abs(numpy(output)[:2]).min() > 0


@every
@pytest.mark.parametrize("under", [50.0, np.inf, np.nan])
def test_nothing_under_padding_is_read_or_reaches_a_gradient(make, under):
    layer, (x, mask) = make(), example()
    spoiled = np.where(mask[..., None], x, under).astype("float32")
    np.testing.assert_array_equal(numpy(layer(spoiled, mask=mask)), numpy(layer(x, mask=mask)))
    inputs, masks = keras.Input((None, D)), keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, masks], keras.layers.Dense(2)(layer(keras.layers.Dense(D)(inputs), mask=masks)))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch([x, mask], np.ones((B, 2)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@every
def test_half_precision_holds_long_sequences(make):
    """The sum of 4,999 values near 30 is beyond float16, and beyond what bfloat16 adds up."""
    x = np.random.default_rng(127).uniform(29, 31, size=(2, 4999, D)).astype("float32")
    expected = numpy(make()(x))
    for policy in ("mixed_float16", "mixed_bfloat16"):
        np.testing.assert_allclose(numpy(make(dtype=policy)(x)), expected, rtol=0.05 if make is POOLINGS[3] else 0.02)


@every
def test_a_mask_that_keras_carries_is_obeyed_and_ends_there(make):
    layer, ids = make(), np.array([[3, 1, 4, 0, 0], [1, 0, 0, 0, 0]])
    inputs = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(7, D, mask_zero=True)
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(embedding(inputs))))
    short, long = model(ids[:, :3]), model(ids)
    np.testing.assert_allclose(numpy(long), numpy(short), atol=1e-6)
    assert getattr(layer(embedding(ids)), "_keras_mask", None) is None


@every
def test_a_saved_model_gives_the_same_outputs(make, tmp_path):
    inputs, masks = keras.Input((None, D)), keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, masks], make()(inputs, mask=masks))
    assert model.output_shape == (None, D)
    x, mask = example()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch([x, mask]), model.predict_on_batch([x, mask]))
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()


def test_every_weight_of_attention_learns():
    model = keras.Sequential([keras.Input((T, D)), AttentionPooling(11)])
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(example()[0], np.ones((B, D)))
    assert len(before) == 3
    assert all(np.abs(new - old).max() > 1e-5 for new, old in zip(model.get_weights(), before, strict=True))


def test_weights_of_attention_sum_to_one_over_real_positions():
    layer, (x, mask) = AttentionPooling(11), example()
    layer.build(x.shape)
    weights = numpy(layer.weigh(x, mask))
    assert weights.shape == (B, T)
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(weights == 0, ~mask)


def test_a_new_pooling_is_one_method():
    class Last(Pooling):
        def pool(self, x, mask):
            return ops.sum(x, axis=1) - ops.sum(x[:, :-1], axis=1)

    x, mask = example()
    np.testing.assert_allclose(numpy(Last()(x, mask=mask))[:2], x[:2, -1], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AttentionPooling(0), "at least 1. Received: hidden=0"),
        (
            lambda: MeanPooling()(np.ones((B, T, D), "float32"), mask=np.ones((B, D), bool)),
            r"MeanPooling expects mask to be boolean of shape \(3, 7\). Received: bool of shape \(3, 5\)",
        ),
        (lambda: MaxPooling()(np.ones((B, T, D), "float32"), mask=np.ones((B, T), "int32")), "Received: int32"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
