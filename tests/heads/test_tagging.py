from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.heads.tagging import tagger
from suite.models import transformer
from suite.task import Array, Spec

B, T, C = 3, 7, 5
SPEC = Spec(
    inputs={
        "words": Array((None,), "int32"),
        "shapes": Array((None,), "int32"),
        "characters": Array((None, None), "int32"),
    },
    target=Array((None,), "int32"),
    sizes={"words": 23, "shapes": 11, "characters": 13},
    classes=("O", "B-PER", "I-PER"),
)
LENGTHS = np.array([7, 4, 1])
REAL = np.arange(T) < LENGTHS[:, None]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(59)


def make(**options) -> keras.Model:
    config = transformer.Config(width=12, depth=1, heads=2, ffn=17)
    sizes = {"words": 6, "characters": 5, "shapes": 3, "dropout": 0.1, "token_dropout": 0.2, **options}
    return tagger(SPEC, **sizes, width=config.width, encoder=transformer.encoder(config))


def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(61)
    characters = rng.integers(1, 13, (B, T, C)) * (np.arange(C) < rng.integers(1, C + 1, (B, T, 1)))
    return {
        "words": (rng.integers(1, 23, (B, T)) * REAL).astype("int32"),
        "shapes": (rng.integers(1, 11, (B, T)) * REAL).astype("int32"),
        "characters": (characters * REAL[..., None]).astype("int32"),
    }


def test_scores_are_float32_and_one_a_class():
    model = make()
    assert set(model.input) == {"words", "shapes", "characters"}
    scores = model.predict_on_batch(batch())
    assert scores.shape == (B, T, 3)
    assert scores.dtype == np.float32


def test_scores_are_float32_in_half_precision_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert np.all(np.isfinite(model.predict_on_batch(batch())))


def test_more_padding_changes_no_score():
    model, inputs = make(), batch()
    before = model.predict_on_batch(inputs)
    wider = {k: np.pad(v, [(0, 0), (0, 3)] + [(0, 2)] * (v.ndim - 2)) for k, v in inputs.items()}
    np.testing.assert_allclose(model.predict_on_batch(wider)[:, :T][REAL], before[REAL], atol=1e-5)


@pytest.mark.parametrize("name", ["words", "shapes", "characters"])
def test_every_input_counts(name):
    model, inputs = make(), batch()
    before = model.predict_on_batch(inputs)
    inputs[name][0, 2] = inputs[name][0, 2] % 10 + 1
    assert np.abs(model.predict_on_batch(inputs) - before).max() > 1e-4


def test_the_loss_leaves_padding_out_by_sample_weights_alone():
    model, inputs = make(dropout=0.0, token_dropout=0.0), batch()
    targets = np.random.default_rng(67).integers(0, 3, (B, T))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    logits = model.predict_on_batch(inputs)
    each = -np.log(np.take_along_axis(keras.ops.convert_to_numpy(keras.ops.softmax(logits)), targets[..., None], -1))
    # An implicit mask on the scores would turn each mean into one over the real words.
    assert model.test_on_batch(inputs, targets) == pytest.approx(each.mean(), rel=1e-5)
    weighted = model.test_on_batch(inputs, targets, sample_weight=REAL.astype("float32"))
    assert weighted == pytest.approx((each[..., 0] * REAL).sum() / (B * T), rel=1e-5)


def test_a_few_steps_learn_and_a_saved_model_answers_alike(tmp_path):
    model, inputs = make(), batch()
    targets = np.random.default_rng(71).integers(0, 3, (B, T))
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
    )
    weights = REAL.astype("float32")
    before = model.test_on_batch(inputs, targets, sample_weight=weights)
    for _ in range(20):
        model.train_on_batch(inputs, targets, sample_weight=weights)
    assert model.test_on_batch(inputs, targets, sample_weight=weights) < 0.7 * before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), model.predict_on_batch(inputs))
