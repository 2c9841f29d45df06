"""The Transformer's options for reasoning: one block for all steps, and heads that walk back."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.models import transformer

B, T, WIDTH = 2, 7, 12
MASK = np.arange(T) < np.array([[7], [4]])
NEAREST = {"attention": "suite.layers:NearestAttention", "attention_options": {"nearest": 1}, "position": "relative"}


def model(**options) -> keras.Model:
    keras.utils.set_random_seed(61)
    config = transformer.Config(**{"width": WIDTH, "heads": 2, "ffn": 5, **options})
    x, mask = keras.Input((None, WIDTH), name="x"), keras.Input((None,), dtype="bool", name="mask")
    return keras.Model([x, mask], transformer.encoder(config)(x, mask))


def outputs(built: keras.Model, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(built([x, mask], training=False)))


@pytest.fixture
def x():
    return np.random.default_rng(67).normal(size=(B, T, WIDTH)).astype("float32")


@pytest.mark.parametrize("options", [{"shared": True}, {"shared": True, **NEAREST}], ids=["shared", "nearest"])
def test_padding_changes_nothing_and_a_saved_model_gives_the_same(options, x, tmp_path):
    built = model(depth=3, **options)
    before = outputs(built, x, MASK)
    refilled = outputs(built, np.where(MASK[..., None], x, 50.0).astype("float32"), MASK)
    np.testing.assert_allclose(refilled[MASK], before[MASK], atol=1e-5)
    built.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(keras.models.load_model(tmp_path / "model.keras"), x, MASK), before)


def test_a_shared_block_counts_once_and_each_step_adds_its_signal():
    shared, plain = ([model(depth=d, shared=s).count_params() for d in (1, 4)] for s in (True, False))
    assert shared[0] - plain[0] == WIDTH
    assert shared[1] - shared[0] == 3 * WIDTH
    assert plain[1] - plain[0] > 3 * WIDTH


def test_every_step_counts(x):
    one, two = (model(depth=depth, shared=True, **NEAREST) for depth in (1, 2))
    for weight, other in zip(one.weights, two.weights, strict=True):
        weight.assign(other[:1] if weight.shape != other.shape else other)
    assert np.abs(outputs(one, x, MASK) - outputs(two, x, MASK))[MASK].max() > 1e-3
