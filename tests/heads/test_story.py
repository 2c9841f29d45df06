"""The reader of stories: shapes, padding, what counts, learning and saving, by sentences and by words."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite import layers
from suite.heads import story
from suite.models import lstm, transformer
from suite.task import Architecture, Array, Spec

B, S, J = 3, 5, 7
SPEC = Spec(
    inputs={"words": Array((None, J), "int32")},
    target=Array((), "int32"),
    sizes={"words": 23},
    classes=("a", "b", "c", "d"),
)
SENTENCES, WORDS = np.array([5, 2, 1]), np.array([7, 3, 1, 4, 2])
REAL = (np.arange(S) < SENTENCES[:, None])[..., None] & (np.arange(J) < WORDS[:, None])[None]
KINDS = [("sentences", True), ("sentences", False), ("words", True), ("words", False)]
every_kind = pytest.mark.parametrize(("read", "asked"), KINDS)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(83)


def make(architecture=transformer, *, read="sentences", asked=True, **options) -> keras.Model:
    sizes = {"width": 12, "depth": 1, "heads": 2, "ffn": 17} if architecture is transformer else {"width": 12}
    config = architecture.Config(**sizes)
    reader = Architecture(width=config.width, reads="sequence", encode=architecture.encoder(config))
    settings = {"words": 6, "roles": 3, "dropout": 0.1, "token_dropout": 0.1, **options}
    return story.reader(SPEC, reader, read=read, asked=asked, **settings)


def batch() -> dict[str, np.ndarray]:
    return {"words": (np.random.default_rng(89).integers(1, 23, (B, S, J)) * REAL).astype("int32")}


@every_kind
def test_scores_are_float32_and_one_an_answer(read, asked):
    scores = make(read=read, asked=asked).predict_on_batch(batch())
    assert scores.shape == (B, 4)
    assert scores.dtype == np.float32


def test_scores_are_float32_in_half_precision_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert np.all(np.isfinite(model.predict_on_batch(batch())))


@every_kind
@pytest.mark.parametrize("architecture", [transformer, lstm], ids=["transformer", "lstm"])
def test_more_padding_changes_no_score(architecture, read, asked):
    model, inputs = make(architecture, read=read, asked=asked), batch()
    longer = {"words": np.pad(inputs["words"], [(0, 0), (0, 3), (0, 0)])}
    np.testing.assert_allclose(model.predict_on_batch(longer), model.predict_on_batch(inputs), atol=1e-5)


@every_kind
def test_every_word_of_the_story_and_the_question_counts(read, asked):
    model, inputs = make(read=read, asked=asked), batch()
    before, unread = model.predict_on_batch(inputs), []
    for sentence, word in np.argwhere(REAL[0]):
        changed = inputs["words"].copy()
        changed[0, sentence, word] = changed[0, sentence, word] % 20 + 1
        if np.abs(model.predict_on_batch({"words": changed}) - before)[0].max() < 1e-6:
            unread.append((sentence, word))
    assert unread == []


@every_kind
@pytest.mark.parametrize("axis", ["words", "sentences"])
def test_order_matters_within_a_sentence_and_among_them(read, asked, axis):
    model, inputs = make(read=read, asked=asked), batch()
    changed = inputs["words"].copy()
    if axis == "words":
        changed[0, 0, :2] = changed[0, 0, 1::-1]
    else:
        changed[0, :2] = changed[0, 1::-1]
    moved = np.abs(model.predict_on_batch({"words": changed}) - model.predict_on_batch(inputs))
    assert moved[0].max() > 1e-5
    assert moved[1:].max() < 1e-5


def test_a_sentence_is_what_its_words_say_each_as_much_as_it_fills_a_role():
    layer = layers.Roles(2)
    words = np.random.default_rng(97).normal(size=(B, S, J, 6)).astype("float32")
    found = keras.ops.convert_to_numpy(layer(words, mask=REAL))
    content, place = (keras.ops.convert_to_numpy(weight) for weight in (layer.content, layer.place))
    powers = np.exp(words @ content + place) * REAL[..., None]  # (B, S, J, K)
    weights = powers / np.maximum(powers.sum(2, keepdims=True), 1e-30)
    np.testing.assert_allclose(found, np.einsum("bsjk,bsje->bske", weights, words), atol=1e-5)
    assert np.all(found[1, 2:] == 0)


def test_the_last_real_place():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    mask = np.array([[True, True, True], [True, False, False]])
    found = keras.ops.convert_to_numpy(story.last(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(mask)))
    np.testing.assert_array_equal(found, [x[0, 2], x[1, 0]])


def test_dropouts_act_in_training_alone():
    for name in ("dropout", "token_dropout"):
        for share in (0.0, 0.5):
            plain = Architecture(width=12, reads="sequence", encode=lambda x, mask: x)
            settings = {"words": 6, "roles": 3, "dropout": 0.0, "token_dropout": 0.0, name: share}
            model = story.reader(SPEC, plain, read="sentences", asked=True, **settings)
            first, second = (keras.ops.convert_to_numpy(model(batch(), training=True)) for _ in range(2))
            assert (np.abs(first - second).max() > 1e-6) == bool(share), name


@every_kind
def test_a_few_steps_learn_and_a_saved_model_answers_alike(read, asked, tmp_path):
    model, inputs = make(read=read, asked=asked), batch()
    targets = np.array([3, 0, 2])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.test_on_batch(inputs, targets)
    for _ in range(20):
        model.train_on_batch(inputs, targets)
    assert model.test_on_batch(inputs, targets) < 0.7 * before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), model.predict_on_batch(inputs))
