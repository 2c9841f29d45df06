"""The reader of questions and contexts: shapes, padding, what a place may be, learning and saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.heads import spans
from suite.losses import CrossEntropy
from suite.models import cnn, rnn, transformer
from suite.task import Architecture, Array, Spec

B, T = 3, 11
SIZES = {"pieces": 29, "segments": 3, "matches": 5, "shapes": 16}
SPEC = Spec(
    inputs={name: Array((None,), "int32") for name in SIZES},
    target=Array((2,), "int32"),
    sizes=SIZES,
)
#          none, question, separator | context | padding
LENGTHS = ((3, 8), (4, 3), (2, 1))
CONFIGS = {
    "transformer": transformer.Config(width=12, depth=1, heads=2, ffn=17, neighbours=3),
    "rnn": rnn.Config(width=12, depth=1),
    "cnn": cnn.Config(width=12, depth=2),
}
MODULES = {"transformer": transformer, "rnn": rnn, "cnn": cnn}
every_architecture = pytest.mark.parametrize("name", CONFIGS)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(71)


def make(name="transformer", *, align=False, dropout=0.1) -> keras.Model:
    config = CONFIGS[name]
    reader = Architecture(width=config.width, reads="sequence", encode=MODULES[name].encoder(config))
    return spans.reader(
        SPEC, pieces=7, marks=3, dropout=dropout, token_dropout=dropout, align=align, architecture=reader
    )


def batch() -> dict[str, np.ndarray]:
    random = np.random.default_rng(83)
    inputs = {name: random.integers(1, size, (B, T)).astype("int32") for name, size in SIZES.items()}
    for row, (question, context) in enumerate(LENGTHS):
        inputs["segments"][row] = [1] * question + [2] * context + [0] * (T - question - context)
    return {name: np.where(inputs["segments"] > 0, values, 0).astype("int32") for name, values in inputs.items()}


@pytest.mark.parametrize(("name", "align"), [("transformer", False), ("rnn", True), ("cnn", True)])
def test_an_answer_can_begin_and_end_in_the_context_alone_or_nowhere(name, align):
    logits = make(name, align=align).predict_on_batch(batch())
    assert logits.shape == (B, 2, T)
    assert logits.dtype == np.float32
    for row, (question, context) in enumerate(LENGTHS):
        possible = [0, *range(question, question + context)]
        assert (np.abs(logits[row][:, possible]) < 100).all()
        assert (np.delete(logits[row], possible, axis=1) < -1e8).all()


@pytest.mark.parametrize(("name", "align"), [("transformer", False), ("rnn", True), ("cnn", True)])
def test_more_padding_changes_nothing(name, align):
    model, inputs = make(name, align=align), batch()
    longer = {key: np.pad(values, ((0, 0), (0, 5))) for key, values in inputs.items()}
    short, long = model.predict_on_batch(inputs), model.predict_on_batch(longer)
    np.testing.assert_allclose(long[:, :, :T], short, atol=1e-4, rtol=1e-5)


@every_architecture
def test_each_input_and_the_question_count(name):
    model, inputs = make(name), batch()
    before = model.predict_on_batch(inputs)
    for key in ("pieces", "matches", "shapes"):
        changed = {**inputs, key: inputs[key].copy()}
        changed[key][0, 1] = 1 + changed[key][0, 1] % (SIZES[key] - 1)  # in the question
        after = model.predict_on_batch(changed)
        assert np.abs(after[0, :, 3:] - before[0, :, 3:]).max() > 1e-6, key
        assert np.abs(after[0, :, 0] - before[0, :, 0]).max() > 1e-6, key
        np.testing.assert_allclose(after[1:], before[1:], atol=1e-5)


def test_logits_are_float32_in_half_precision_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(align=True)
    finally:
        keras.config.set_dtype_policy("float32")
    logits = model.predict_on_batch(batch())
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_it_learns_and_survives_saving(tmp_path):
    model, inputs = make(dropout=0.0), batch()
    targets = np.array([[4, 6], [0, 0], [2, 2]], "int32")
    model.compile(keras.optimizers.Adam(0.02), CrossEntropy())
    for _ in range(60):
        loss = model.train_on_batch(inputs, targets, sample_weight=np.ones((B, 2), "float32"))
    assert float(loss) < 0.1
    logits = model.predict_on_batch(inputs)
    assert logits.argmax(axis=2).tolist() == targets.tolist()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(loaded.predict_on_batch(inputs), logits, atol=1e-5)
