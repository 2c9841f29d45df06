"""The text classifier: shapes, padding, what counts, learning and saving, with every way of pooling."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.heads import text
from suite.models import textcnn, transformer
from suite.task import Architecture, Array, Spec

B, T = 3, 7
SPEC = Spec(
    inputs={"tokens": Array((None,), "int32")},
    target=Array((), "int32"),
    sizes={"tokens": 23},
    classes=("a", "b", "c", "d", "e"),
)
REAL = np.arange(T) < np.array([[7], [4], [1]])
POOLINGS = [["mean"], ["max", "attention"], ["first"]]
every_pooling = pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(73)


def make(architecture=transformer, *, pooling=("mean",), **options) -> keras.Model:
    sizes = {"width": 12, "depth": 1, "heads": 2, "ffn": 17} if architecture is transformer else {"width": 12}
    config = architecture.Config(**sizes)
    reader = Architecture(width=config.width, reads="sequence", encode=architecture.encoder(config))
    settings = {"embedding": 6, "dropout": 0.1, "embedding_dropout": 0.1, "token_dropout": 0.2, **options}
    return text.classifier(SPEC, reader, pooling=pooling, **settings)


def batch() -> dict[str, np.ndarray]:
    return {"tokens": (np.random.default_rng(79).integers(1, 23, (B, T)) * REAL).astype("int32")}


@every_pooling
def test_scores_are_float32_and_one_a_class(pooling):
    scores = make(pooling=pooling).predict_on_batch(batch())
    assert scores.shape == (B, 5)
    assert scores.dtype == np.float32


def test_scores_are_float32_in_half_precision_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(pooling=["mean", "max"])
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert np.all(np.isfinite(model.predict_on_batch(batch())))


@every_pooling
def test_more_padding_changes_no_score(pooling):
    model, inputs = make(pooling=pooling), batch()
    wider = {"tokens": np.pad(inputs["tokens"], [(0, 0), (0, 3)])}
    np.testing.assert_allclose(model.predict_on_batch(wider), model.predict_on_batch(inputs), atol=1e-5)


@every_pooling
def test_every_piece_counts(pooling):
    model, inputs = make(pooling=pooling), batch()
    before = model.predict_on_batch(inputs)
    moved = 0
    for place in range(T):
        changed = inputs["tokens"].copy()
        changed[0, place] = changed[0, place] % 20 + 1
        moved += np.abs(model.predict_on_batch({"tokens": changed}) - before)[0].max() > 1e-6
    assert moved == T


def test_the_class_token_comes_with_first_alone():
    names = {tuple(pooling): [layer.name for layer in make(pooling=pooling).layers] for pooling in POOLINGS}
    assert {pooling for pooling, layers in names.items() if "class_token" in layers} == {("first",)}


def test_dropouts_act_in_training_alone():
    for name in ("dropout", "embedding_dropout", "token_dropout"):
        off = dict.fromkeys(("dropout", "embedding_dropout", "token_dropout"), 0.0)
        config = textcnn.Config(width=12)
        reader = Architecture(width=12, reads="sequence", encode=textcnn.encoder(config))
        quiet = text.classifier(SPEC, reader, embedding=6, pooling=["mean"], **off)
        loud = text.classifier(SPEC, reader, embedding=6, pooling=["mean"], **{**off, name: 0.5})
        tokens = batch()["tokens"]
        for model, differs in ((quiet, False), (loud, True)):
            first, second = (keras.ops.convert_to_numpy(model({"tokens": tokens}, training=True)) for _ in range(2))
            assert (np.abs(first - second).max() > 1e-6) == differs, name


@every_pooling
def test_a_few_steps_learn_and_a_saved_model_answers_alike(pooling, tmp_path):
    model, inputs = make(pooling=pooling), batch()
    targets = np.array([4, 0, 2])
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.test_on_batch(inputs, targets)
    for _ in range(20):
        model.train_on_batch(inputs, targets)
    assert model.test_on_batch(inputs, targets) < 0.7 * before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), model.predict_on_batch(inputs))
