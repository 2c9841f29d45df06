"""Text generation: each token predicted once, honest bits, prompts of every kind, odd files from file to score."""

from __future__ import annotations

import json
import math
from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from suite.cli import app
from suite.data import prose
from suite.data.batching import Batches
from suite.errors import InputError
from suite.models import cnn, rnn, transformer
from suite.task import Architecture, Spec, Writing
from tasks import generation
from tasks.generation import TASK, Features

TEXT = "the cat sat on the mat.\nthe rat sat on the cat.\na cat ate the rat.\n" * 4
TRAIN = [{"text": TEXT}, {"text": "a mat, a rat, 東京.\n"}]
SIZES = {"width": 12, "depth": 1}
CONFIGS = {
    "transformer": (transformer, transformer.Config(heads=2, ffn=16, **SIZES)),
    "rnn": (rnn, rnn.Config(**SIZES)),
    "cnn": (cnn, cnn.Config(**SIZES)),
    **{
        position: (transformer, transformer.Config(heads=2, ffn=16, position=position, longest=16, **SIZES))
        for position in ("alibi", "relative", "learned")
    },
}


def features(**options) -> Features:
    return Features(**{"level": "characters", "vocabulary": 300, "context": 8, **options})


def make(name="rnn", **options):
    keras.utils.set_random_seed(7)
    module, config = CONFIGS[name]
    wanted = features(**options)
    spec = TASK.spec(TRAIN, wanted)
    architecture = Architecture(
        width=config.width, reads="sequence", encode=module.encoder(config), decode=partial(module.decoder, config)
    )
    return TASK.build(spec, wanted, architecture), spec


def batches(encoded, spec):
    return Batches(encoded, spec, batch_size=4, edges=[8])


def predictions(model, spec, examples):
    encoded = TASK.encode(examples, spec)
    return TASK.decode(TASK.infer(model, batches(encoded, spec), spec), encoded, spec)


@given(st.lists(st.text(alphabet="abt 東z\n", max_size=30), min_size=1, max_size=5), st.integers(1, 9))
@settings(deadline=None, max_examples=50)
def test_windows_hold_each_token_once_also_when_cut_again(texts, context):
    spec = TASK.spec(TRAIN, features(context=context))
    encoded = TASK.encode([{"text": text} for text in texts], spec)
    known = generation.tokenizer(spec)
    row = [token for text in texts for token in [2, *known.encode(text)]]
    assert np.concatenate(encoded.inputs["tokens"]).tolist() == row
    assert np.concatenate(encoded.targets).tolist() == [*row[1:], 2]
    again = encoded.recut(np.random.default_rng(3))
    assert [len(each) for each in again.targets] == [len(each) for each in encoded.targets]
    offset = next(
        o for o in range(len(row)) if np.roll(row, -o).tolist() == np.concatenate(again.inputs["tokens"]).tolist()
    )
    assert np.concatenate(again.targets).tolist() == np.roll(row, -offset - 1).tolist()
    assert set(encoded.lengths) == {min(context, len(row))}


def test_the_spec_comes_back_from_json():
    for level in ("characters", "subwords"):
        spec = TASK.spec(TRAIN, features(level=level, vocabulary=280))
        again = Spec.from_json(spec.to_json())
        one, other = (TASK.encode(TRAIN, each).targets for each in (spec, again))
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
        assert generation.tokenizer(again).size == spec.sizes["tokens"]


@pytest.mark.parametrize("overlap", [0, 5])
def test_a_model_that_knows_nothing_needs_the_logarithm_of_the_vocabulary(overlap):
    model, spec = make(overlap=overlap)
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    examples = [{"text": "the cat"}, {"text": "z"}, {"text": "a rat, 東京."}]
    found = predictions(model, spec, examples)
    size = math.log(spec.sizes["tokens"])
    charge = generation.tokenizer(spec).charge
    for example, prediction in zip(examples, found, strict=True):
        expected = [size + (charge if letter == "z" else 0) for letter in example["text"]]
        np.testing.assert_allclose(prediction["nats"], expected, rtol=1e-5)
    scores = TASK.evaluate(found, examples).scores
    assert scores["loss"] == pytest.approx(size + charge / 18, rel=1e-5)
    assert scores["bits_per_character"] == pytest.approx(scores["loss"] / math.log(2))
    assert scores["perplexity"] == pytest.approx(math.exp(scores["loss"]))
    assert math.exp(charge) > 1_100_000


@pytest.mark.parametrize("level", ["characters", "subwords"])
def test_every_token_of_every_text_has_its_cost_and_its_place(level):
    model, spec = make(level=level)
    examples = [*prose.pieces(TEXT, path="a", size=40), {"text": "zebra\n"}]
    found = predictions(model, spec, examples)
    known = generation.tokenizer(spec)
    assert [len(each["nats"]) for each in found] == [len(known.encode(each["text"])) for each in examples]
    places = np.concatenate([each["place"] for each in found])
    assert places[:8].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert places.max() == 8
    evaluation = TASK.evaluate(found, examples)
    assert sum(outcome["nats"] for outcome in evaluation.outcomes) == pytest.approx(
        evaluation.scores["loss"] * sum(len(each["nats"]) for each in found)
    )
    assert [outcome.get("piece") for outcome in evaluation.outcomes[-2:]] == [len(examples) - 2, None]
    json.dumps(evaluation.outcomes)
    lines = evaluation.files["loss_by_position.csv"].splitlines()
    assert lines[0] == "position,tokens,loss"
    assert [int(line.split(",")[0]) for line in lines[1:]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len([each for each in found if each["samples"]]) == 1
    watched = TASK.watch(model, batches(TASK.encode(examples, spec), spec), examples, spec)
    for name in ("loss", "bits_per_character"):
        assert watched[name] == pytest.approx(evaluation.scores[name], rel=1e-5)


def test_a_corpus_shorter_than_one_window_is_refused():
    with pytest.raises(InputError, match=r"have 5 tokens, fewer than one window of 8: give more text"):
        TASK.spec([{"text": "abcd"}], features())
    with pytest.raises(ValidationError, match="cannot overlap"):
        features(overlap=8)
    model, spec = make()  # but a short text can be scored
    assert len(predictions(model, spec, [{"text": "a"}])[0]["nats"]) == 1


def test_a_table_of_positions_that_is_too_short_is_refused():
    with pytest.raises(InputError, match="context 17 is more than the 16 positions"):
        make("learned", context=17)


@pytest.mark.parametrize("name", ["transformer", "rnn", "cnn", "alibi", "relative"])
def test_any_prompt_is_continued_and_streaming_gives_the_same(name):
    model, spec = make(name)
    for prompt in ("the cat", "", "Ω≈ç", TEXT):  # the last one is much longer than a window
        writing = Writing(max_tokens=6, seed=3)
        [[answer]] = TASK.write(model, [{"prompt": prompt}], spec, writing)
        assert "".join(TASK.stream(model, {"prompt": prompt}, spec, writing)) == answer["answer"]
        assert answer["why"] == "stop" or len(answer["answer"]) == 6
        assert answer["log_probability"] < 0
        assert answer["probability"] is None


def test_a_learned_table_says_that_it_cannot_go_on():
    model, spec = make("learned")
    [[answer]] = TASK.write(model, [{"prompt": "the cat"}], spec, Writing(max_tokens=9))
    assert len(answer["answer"]) <= 9
    message = "a table of 16 positions.*leave room for 9, and --max-tokens is 10; one with rotary"
    with pytest.raises(InputError, match=message):
        TASK.write(model, [{"prompt": "the cat"}], spec, Writing(max_tokens=10))
    with pytest.raises(InputError, match="leave room for 0"):
        list(TASK.stream(model, {"prompt": TEXT}, spec, Writing(max_tokens=1)))
    assert predictions(model, spec, TRAIN)[0]["samples"]


def test_temperature_seed_and_stops_do_what_they_say():
    model, spec = make()
    ask = partial(TASK.write, model, [{"prompt": "the"}], spec)
    whole = [seed for seed in range(9) if ask(Writing(max_tokens=20, seed=seed))[0][0]["why"] == "length"]
    [[one]] = ask(Writing(max_tokens=20, seed=whole[0]))
    assert ask(Writing(max_tokens=20, seed=whole[0])) == [[one]]
    assert ask(Writing(max_tokens=20, seed=whole[1])) != [[one]]
    assert ask(Writing(max_tokens=20, temperature=0.0, seed=1)) == ask(Writing(max_tokens=20, temperature=0.0, seed=2))
    [[none]] = ask(Writing(max_tokens=0))
    assert (none["answer"], none["why"]) == ("", "length")
    assert list(TASK.stream(model, {"prompt": "the"}, spec, Writing(max_tokens=0))) == []
    stop = one["answer"][4:6]
    writing = Writing(max_tokens=20, seed=whole[0], stop=(stop, "never there"))
    [[stopped]] = ask(writing)
    assert stopped["why"] == "stop"
    assert stopped["answer"] == one["answer"][: one["answer"].index(stop)]
    assert 0 > stopped["log_probability"] > one["log_probability"]
    assert "".join(TASK.stream(model, {"prompt": "the"}, spec, writing)) == stopped["answer"]


def test_several_answers_come_best_first():
    model, spec = make()
    prompts = [{"prompt": "the"}, {"prompt": "a longer one"}]
    for writing in (Writing(max_tokens=5, n_best=3), Writing(max_tokens=5, beam=4, n_best=3, length_penalty=0.6)):
        answers = TASK.write(model, prompts, spec, writing)
        assert [len(each) for each in answers] == [3, 3]
        for each in answers:
            scores = [answer["score"] for answer in each]
            assert scores == sorted(scores, reverse=True)
    assert len({answer["answer"] for answer in answers[0]}) == 3
    [text] = TASK.stream(model, prompts[0], spec, Writing(max_tokens=5, beam=4, length_penalty=0.6))
    assert text == answers[0][0]["answer"]
    with pytest.raises(InputError, match=rf"--beam 999 is more than the vocabulary's {spec.sizes['tokens']} tokens"):
        TASK.write(model, prompts, spec, Writing(beam=999))


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = [
        "features.context=16",
        "features.level=characters",
        "train.epochs=1",
        "model.rnn.width=8",
        "train.batch_size=4",
    ]

    def run(*arguments):
        return CliRunner().invoke(app, list(arguments))

    def train(*arguments):
        sets = [part for each in tiny for part in ("--set", each)]
        return run("run", "--task", "generation", "--model", "rnn", "--model", "classic", *arguments, *sets)

    run.train = train
    return run


def test_a_file_of_ones_own_is_learned_scored_and_continued(tmp_path, invoke):
    (tmp_path / "own.txt").write_text(TEXT * 20, encoding="utf-8")
    result = invoke.train("--train", "own.txt")
    assert result.exit_code == 0, result.output
    runs = sorted((tmp_path / "runs").glob("generation-*"))
    assert len(runs) == 2
    for run in runs:
        assert (run / "samples.txt").is_file()
        answered = invoke("predict", str(run), "the cat", "--max-tokens", "12", "--seed", "1")
        assert answered.exit_code == 0, answered.output
        scored = invoke("evaluate", str(run), "--test", "own.txt")
        assert scored.exit_code == 0, scored.output
    [network] = [run for run in runs if "rnn" in run.name]
    assert (network / "loss_by_position.csv").read_text().count("\n") == 17


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\ntwo \xff\n", "own.txt:2: byte 8 of the file"),
        (b" \n", "no text in this file"),
        (b"short", "test has to be cut from train"),
        (b"ab\n" * 9, "test has to be cut from train"),
    ],
)
def test_files_that_cannot_be_used_end_in_one_line(tmp_path, invoke, content, message):
    (tmp_path / "own.txt").write_bytes(content)
    result = invoke.train("--train", "own.txt")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_folder_without_texts_ends_in_one_line(tmp_path, invoke):
    (tmp_path / "texts").mkdir()
    result = invoke.train("--train", "texts")
    assert result.exit_code == 2
    assert "no text in this folder" in " ".join(result.output.split())
