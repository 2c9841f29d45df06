"""Translation from text to text: pieces and marks, odd sources, beams, what a person may ask for, files to answers."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from suite.cli import app
from suite.data import bpe
from suite.data.batching import Batches
from suite.data.splits import make_splits
from suite.errors import InputError
from suite.models import transformer
from suite.task import Architecture, Spec, Writing
from tasks import translation
from tasks.translation import END, START, TASK, Features

PAIRS = [
    ("A dog runs in the snow.", "Ein Hund läuft im Schnee."),
    ("A man reads a book.", "Ein Mann liest ein Buch."),
    ("Two dogs read.", "Zwei Hunde lesen."),
    ("The man runs.", "Der Mann läuft."),
]
TRAIN = [{"source": source, "target": target, "language": "de"} for source, target in PAIRS * 3]
SPEC = TASK.spec(TRAIN, Features(vocabulary=290, max_length=20, beam=2))
PIECES = bpe.Pieces(SPEC.preprocessing["tokenizer"])
START_ID, END_ID = PIECES.special(START), PIECES.special(END)


@pytest.fixture(scope="module")
def model():
    """Not trained: it writes nonsense of every length, which decoding has to bear."""
    keras.utils.set_random_seed(1)
    config = transformer.Config(width=8, depth=1, heads=2, ffn=8)
    architecture = Architecture(
        width=8, reads="sequence", encode=transformer.encoder(config), decode=partial(transformer.decoder, config)
    )
    return TASK.build(SPEC, Features(), architecture)


def batches(examples, size=5):
    encoded = TASK.encode(examples, SPEC)
    return Batches(encoded, SPEC, batch_size=size, edges=[8, 16])


def test_rows_are_the_source_the_target_from_its_start_and_what_follows_each_piece():
    encoded = TASK.encode(TRAIN[:1], SPEC)
    source, target, right = encoded.inputs["source"][0], encoded.inputs["target"][0], encoded.targets[0]
    assert PIECES.decode(source[:-1]) == " A dog runs in the snow."
    assert source[-1] == right[-1] == END_ID
    assert target[0] == START_ID
    assert target[1:].tolist() == right[:-1].tolist()
    assert PIECES.decode(right) == " Ein Hund läuft im Schnee."
    assert encoded.notes == ()
    again = TASK.encode(TRAIN[:1], Spec.from_json(SPEC.to_json()))
    assert again.targets[0].tolist() == right.tolist()


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=18))
def test_every_text_comes_back_from_its_pieces(text):
    long = TASK.spec(TRAIN, Features(vocabulary=290, max_length=100))
    encoded = TASK.encode([{"source": text, "target": text}], long)
    [back] = TASK.decode([row[:-1].tolist() for row in encoded.targets], encoded, long)
    assert back == text.strip()


def test_a_text_that_is_too_long_loses_its_end_and_is_counted():
    long = {"source": "dog " * 10_000, "target": "Hund " * 10_000}
    encoded = TASK.encode([long, TRAIN[2]], SPEC)
    assert [len(encoded.inputs[name][0]) for name in ("source", "target")] == [20, 20]
    assert len(encoded.targets[0]) == 20
    assert encoded.inputs["source"][0][-1] == END_ID
    assert encoded.targets[0][-1] != END_ID  # no translation ends there
    assert encoded.notes == (
        "1 texts of the source are longer than 19 pieces and lose their end",
        "1 texts of the target are longer than 19 pieces and lose their end",
    )


def test_the_tokenizer_sees_training_texts_of_both_sides_alone():
    pieces = bpe.Pieces(TASK.spec(TRAIN, Features(vocabulary=350)).preprocessing["tokenizer"])
    assert PIECES.size <= 290 < pieces.size <= 350
    for word in (" dog", " man", " Hund", " Mann", " läuft"):
        assert len(pieces.encode(word)) < len(word.encode()) - 1
    assert len(pieces.encode("東京")) == 6


def test_a_translation_does_not_depend_on_its_neighbours(model, monkeypatch):
    examples = [TRAIN[0], {"source": "x"}, {"source": "東京 👍🏽"}]
    alone = [TASK.infer(model, batches([each]), SPEC)[0] for each in examples]
    monkeypatch.setattr(translation, "TOGETHER", 4)
    assert TASK.infer(model, batches(examples * 3), SPEC) == alone * 3  # more than go together


def test_texts_of_characters_that_training_never_had_are_answered(model):
    for text in ("東京", "\U0001f422" * 4, "\u0627\u064e", "q"):
        [answers] = TASK.write(model, [TASK.example({"source": text})], SPEC, Writing(max_tokens=5))
        assert set(answers[0]) == {"answer", "probability", "score", "log_probability", "why"}


def test_what_is_watched_is_the_loss_over_all_pieces(model):
    watched = TASK.watch(model, batches(TRAIN[:4], size=3), TRAIN[:4], SPEC)
    total = count = 0
    for example in TRAIN[:4]:
        encoded = TASK.encode([example], SPEC)
        inputs = {name: encoded.inputs[name][0][None] for name in encoded.inputs}
        logits = np.array(model.predict_on_batch(inputs))[0].astype("float64")
        logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        total -= sum(logs[place, piece] for place, piece in enumerate(encoded.targets[0]))
        count += len(encoded.targets[0])
    assert watched["loss"] == pytest.approx(total / count, rel=1e-5)
    assert 0 <= watched["bleu"] <= 100


def test_the_n_best_come_with_scores_the_best_first(model):
    sources = [{"source": "A dog."}, {"source": "Two men read."}]
    found = TASK.write(model, sources, SPEC, Writing(n_best=3, max_tokens=6))
    for answers in found:
        assert len(answers) == 3
        scores = [answer["score"] for answer in answers]
        assert scores == sorted(scores, reverse=True)
        assert all(answer["log_probability"] <= answer["score"] <= 0 for answer in answers)
    greedy = TASK.write(model, sources, SPEC, Writing(temperature=0.0, max_tokens=6))
    assert [len(answers) for answers in greedy] == [1, 1]


def test_a_beam_may_be_told_to_read_all_of_the_source(model):
    def scores(penalty):
        [answers] = TASK.write(
            model, TRAIN[:1], SPEC, Writing(beam=2, n_best=2, max_tokens=6, coverage_penalty=penalty)
        )
        return [answer["score"] for answer in answers]

    assert max(scores(3.0)) < min(scores(0.0))  # what is not read counts against a translation


def test_drawn_translations_follow_the_seed(model):
    def drawn(seed):
        writing = Writing(temperature=2.0, top_k=50, seed=seed, n_best=2, max_tokens=6)
        return [answer["answer"] for answer in TASK.write(model, [TRAIN[0]], SPEC, writing)[0]]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(drawn(1)) == 2


def test_no_token_at_all_and_a_stop_that_never_comes(model):
    [[answer]] = TASK.write(model, TRAIN[:1], SPEC, Writing(max_tokens=0))
    assert (answer["answer"], answer["why"]) == ("", "length")
    embedding = model.get_layer("embedding").table
    before = np.array(embedding)
    try:
        changed = before.copy()
        changed[END_ID] = 0
        model.get_layer("embedding").table.assign(changed * 40)
        [[plain]] = TASK.write(model, TRAIN[:1], SPEC, Writing(max_tokens=9, temperature=0.0))
        assert plain["why"] == "length"
        [[same]] = TASK.write(model, TRAIN[:1], SPEC, Writing(max_tokens=9, temperature=0.0, stop=("never", "")))
        assert same == plain
        text = plain["answer"]
        [[cut]] = TASK.write(model, TRAIN[:1], SPEC, Writing(max_tokens=9, temperature=0.0, stop=(text[2:],)))
        assert (cut["answer"], cut["why"]) == (text[: text.find(text[2:])].rstrip(), "stop")
    finally:
        embedding.assign(before)


@pytest.mark.parametrize(
    ("writing", "message"),
    [
        ({"beam": 0}, "--beam is at least 1"),
        ({"beam": 300}, r"--beam 300: more than the \d+ pieces of the vocabulary"),
        ({"beam": 2, "n_best": 3}, "--top 3 is more than --beam 2 finds"),
        ({"beam": 2, "temperature": 0.5}, "--beam and --temperature"),
        ({"max_tokens": -1}, "--max-tokens is at least 0"),
        ({"temperature": -1.0}, "--temperature is at least 0"),
        ({"temperature": 0.0, "top_k": 3}, "--temperature 0 draws nothing"),
        ({"top_p": 1.5}, "--top-p is above 0 and at most 1"),
        ({"top_k": 3, "coverage_penalty": 0.1}, "--coverage-penalty is of a beam search"),
    ],
)
def test_wishes_that_make_no_sense(model, writing, message):
    with pytest.raises(InputError, match=message):
        TASK.write(model, TRAIN[:1], SPEC, Writing(**writing))


def test_a_source_that_cannot_be_read_whole_is_refused_by_its_number(model):
    with pytest.raises(InputError, match=r"input 2 has 10,001 pieces, and this model reads at most 19: .* one a line"):
        TASK.write(model, [TRAIN[0], {"source": "q" * 10_000}], SPEC, Writing())


def test_an_empty_source_is_refused():
    assert TASK.example({"source": " a "}) == {"source": "a"}
    with pytest.raises(InputError, match="the source is empty"):
        TASK.example({"source": " \n"})


def test_an_architecture_without_a_decoder_is_refused():
    architecture = Architecture(width=8, reads="sequence", encode=lambda x, mask: x)
    with pytest.raises(InputError, match="it has no decoder"):
        TASK.build(SPEC, Features(), architecture)


def test_scores_outcomes_and_the_signature():
    given_ = ["Ein Hund läuft im Schnee.", "Ein mann liest."]
    evaluation = TASK.evaluate(given_, TRAIN[:2])
    assert list(evaluation.scores) == ["bleu", "chrf", "bleu_tokenized_lowercase", "exact_match"]
    assert evaluation.scores["exact_match"] == 0.5
    assert evaluation.note.startswith("sacreBLEU nrefs:1|case:mixed")
    assert "Moses de" in evaluation.note
    assert [outcome["exact"] for outcome in evaluation.outcomes] == [True, False]
    assert evaluation.outcomes[0]["chrf"] == 100
    assert evaluation.outcomes[1]["right"] == "Ein Mann liest ein Buch."
    json.dumps(evaluation.outcomes)


def test_translations_of_one_text_are_cut_together():
    assert TASK.groups([{"source": text} for text in "aab"]) == ["a", "a", "b"]
    splits = make_splits({"train": TRAIN}, name="own", groups=TASK.groups, labels=TASK.labels)
    parts = [{example["source"] for example in getattr(splits, name)} for name in ("train", "validation", "test")]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]


@pytest.mark.parametrize("length", range(1, 70))
def test_shapes_are_few_and_hold_every_row_once(length):
    lengths = [1 + number % length for number in range(150)]
    shapes = list(translation._shapes(lengths, together=False))
    assert {row for _, rows in shapes for row in rows} == set(range(150))
    assert all(lengths[row] <= size for size, rows in shapes for row in rows)
    assert len({(size, len(rows)) for size, rows in shapes}) <= 8


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def test_from_two_files_to_n_best_lists_and_a_score_on_others(tmp_path):
    for side, suffix in enumerate(("en", "de")):
        (tmp_path / f"a.{suffix}").write_text("".join(f"{pair[side]}\n" for pair in PAIRS * 4), encoding="utf-8")
        (tmp_path / f"b.{suffix}").write_text(PAIRS[side][side] + "\n", encoding="utf-8")
    both = f"{tmp_path / 'a.en'},{tmp_path / 'a.de'}"
    sets = ["features.vocabulary=300", "model.width=16", "model.depth=1", "model.ffn=16"]
    sets += ["train.epochs=20", "train.learning_rate=0.02", "train.batch_size=2", "train.patience=20"]
    settings_ = [part for each in sets for part in ("--set", each)]
    flags = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--device", "cpu"]
    command = ["run", "--task", "translation", "--train", both, "--validation", both, "--test", both]
    found = json.loads(invoke(*command, "--model", "transformer", *settings_, *flags, "--json").stdout)["results"][0]
    assert found["scores"]["exact_match"] > 0.9
    assert "sacreBLEU nrefs:1" in found["note"]
    directory = tmp_path / "runs" / found["run_id"]
    assert "validation_bleu" in (directory / "history.csv").read_text()

    assert invoke("predict", directory, "A man reads a book.").stdout.strip() == "Ein Mann liest ein Buch."
    shown = invoke("predict", directory, "The man runs.", "--json", "--top", 2, "--beam", 3).stdout
    answers = json.loads(shown)["answers"]
    assert answers[0]["answer"] == "Der Mann läuft."
    assert answers[0]["score"] >= answers[1]["score"]
    assert "the source is empty" in invoke("predict", directory, " ", code=2).stderr

    invoke("evaluate", directory, "--test", both, *flags[:4])
    wrong = f"{tmp_path / 'a.en'},{tmp_path / 'b.de'}"
    assert "a.en has 16 lines and" in invoke("evaluate", directory, "--test", wrong, *flags[:4], code=2).stderr


def test_a_beam_larger_than_the_vocabulary_is_refused_before_training():
    with pytest.raises(InputError, match=r"features\.beam 300: more than the 2\d\d pieces"):
        TASK.spec(TRAIN, Features(vocabulary=290, beam=300))


def test_settings_in_the_specification_are_those_of_the_features():
    features = Features(vocabulary=290, max_length=31, beam=3, length_penalty=0.0)
    kept = TASK.spec(TRAIN, features).preprocessing
    assert {name: kept[name] for name in ("max_length", "beam", "length_penalty")} == {
        "max_length": 31,
        "beam": 3,
        "length_penalty": 0.0,
    }
    assert dataclasses.asdict(SPEC)["sizes"] == {"pieces": PIECES.size}
