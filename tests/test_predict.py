"""A trained model answers new inputs and is scored on other data, from its run's directory alone."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import leaderboard
from suite.cli import app

TRAIN = "Peter B-PER\nlives O\nin O\nRome B-LOC\n\nAnna B-PER\nsings O\n. O\n\n" * 12
TINY = ["model.width=16", "model.depth=1", "features.words=8", "features.characters=8", "train.batch_size=8"]


def invoke(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A directory for each of two models."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "own.conll").write_text(TRAIN, "utf8")
    sets = [
        part
        for setting in [*TINY, "train.epochs=12", "train.learning_rate=0.03", "features.token_dropout=0.0"]
        for part in ("--set", setting)
    ]
    flags = ["--leaderboard", folder / "board.csv", "--output", folder / "runs", "--device", "cpu", "--json"]
    command = ["run", "--task", "ner", "--train", folder / "own.conll"]
    result = invoke(*command, "--model", "cnn", "--model", "majority", *sets, *flags)
    return {run["model"]: folder / "runs" / run["run_id"] for run in json.loads(result.stdout)["results"]}


@pytest.mark.parametrize("model", ["cnn", "majority"])
def test_texts_are_answered_in_their_order(runs, model):
    lines = invoke("predict", runs[model], "Peter lives in Rome", "Anna sings.").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        "[Peter PER] lives in [Rome LOC]",
        "[Anna PER] sings .",
    ]


def test_probabilities_and_alternatives(runs):
    (line,) = invoke("predict", runs["cnn"], "Peter lives in Rome", "--top", 3, "--json").stdout.splitlines()
    value = json.loads(line)
    assert value["input"] == {"text": "Peter lives in Rome"}
    assert len(value["answers"]) == 3
    probabilities = [answer["probability"] for answer in value["answers"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1
    assert value["answers"][0]["entities"][0] == {"type": "PER", "text": "Peter", "start": 0, "stop": 1}
    assert invoke("predict", runs["majority"], "Peter").stdout == "[Peter PER]\tn/a\n"


def test_inputs_come_from_a_file_or_standard_input(runs, tmp_path):
    (tmp_path / "lines.txt").write_bytes("\ufeffAnna sings\r\nPeter\n".encode())
    from_file = invoke("predict", runs["cnn"], "--file", tmp_path / "lines.txt").stdout
    assert invoke("predict", runs["cnn"], stdin="Anna sings\nPeter\n").stdout == from_file
    assert len(from_file.splitlines()) == 2
    as_json = invoke("predict", runs["cnn"], stdin='{"text": "Anna sings"}\n').stdout
    assert as_json == from_file.splitlines(keepends=True)[0]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], "", "nothing to answer: give a text"),
        ([""], None, "input 1: expected a sentence of at least one word"),
        ([], "Anna\n\nPeter\n", "standard input:2: expected a sentence"),
        (["Anna", "--context", "x"], None, "--context: ner reads nothing but text"),
        (["--file", "none.txt"], None, "none.txt: cannot be read: No such file"),
    ],
)
def test_wrong_inputs_are_named(runs, arguments, stdin, message):
    assert message in invoke("predict", runs["majority"], *arguments, stdin=stdin, code=2).stderr


@pytest.mark.parametrize("model", ["cnn", "majority"])
def test_how_to_write_is_no_matter_of_a_model_that_does_not(runs, model):
    result = invoke("predict", runs[model], "Anna sings", "--beam", 3, code=2)
    assert f"error: --beam: {model} of ner writes no texts" in result.stderr
    assert "--max-tokens" in invoke("predict", runs[model], "Anna sings", "--max-tokens", 0, code=2).stderr


def test_a_directory_that_is_no_finished_run_is_refused(runs, tmp_path):
    assert "no such folder" in invoke("predict", tmp_path / "x", "a", code=2).stderr
    assert "not a run's directory" in invoke("predict", tmp_path, "a", code=2).stderr
    for name, damage in [("result.json", None), ("run.json", "{"), ("model.keras", "x"), ("spec.json", "{}")]:
        copy = tmp_path / name
        shutil.copytree(runs["cnn"], copy)
        (copy / name).unlink()
        if damage:
            (copy / name).write_text(damage)
        stderr = invoke("predict", copy, "Anna", code=2).stderr
        assert str(copy) in stderr
        assert "Traceback" not in stderr
    shutil.copytree(runs["majority"], tmp_path / "pickle")
    (tmp_path / "pickle" / "model.pickle").write_bytes(b"x")
    assert "cannot be loaded" in invoke("predict", tmp_path / "pickle", "Anna", code=2).stderr


@pytest.mark.parametrize("model", ["cnn", "majority"])
def test_a_trained_model_is_scored_on_other_data_as_a_row_of_its_own(runs, model, tmp_path):
    (tmp_path / "other.conll").write_text(
        "Peter B-PER\nlives O\nin O\nRome B-LOC\n\nAnna B-PER\nsings O\n. O\n\n", "utf8"
    )
    files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs"]
    shown = invoke("evaluate", runs[model], "--test", tmp_path / "other.conll", *files).stdout
    assert "ner on other.conll, test, 2 examples" in shown
    board = leaderboard.read_csv(tmp_path / "board.csv")
    (row,) = board[board["primary"]].to_dict("records")
    assert (row["model"], row["dataset"], row["value"], row["n_examples"]) == (model, "other.conll", 1.0, 2)
    assert row["note"] == f"trained on own.conll as {runs[model].name}"
    assert board["flops_per_example"].notna().all() == (model == "cnn")
    (directory,) = (tmp_path / "runs").iterdir()
    told = [json.loads(line) for line in (directory / "outcomes.jsonl").read_text("utf8").splitlines()]
    assert [each["slices"] for each in told] == [{"entity words": "seen"}] * 2


def test_a_model_is_scored_in_int8_as_a_row_that_says_so(runs, tmp_path):
    files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--json"]
    own = ["--dataset", "news"]
    plain = json.loads(invoke("evaluate", runs["cnn"], *own, *files).stdout)["results"][0]
    result = json.loads(invoke("evaluate", runs["cnn"], *own, *files, "--quantize", "int8").stdout)["results"][0]
    assert (plain["precision"], result["precision"]) == ("float32", "int8")
    assert "; weights and features in int8" in result["note"]
    assert abs(result["scores"]["f1"] - plain["scores"]["f1"]) < 0.1
    assert result["flops_per_example"] == pytest.approx(plain["flops_per_example"], rel=0.1)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    shown = invoke("predict", runs["cnn"], "Anna sings", "--quantize", "int8").stdout
    assert shown.split()[:1] == invoke("predict", runs["cnn"], "Anna sings").stdout.split()[:1]
    refused = invoke("predict", runs["majority"], "Anna sings", "--quantize", "int8", code=2).stderr
    assert "--quantize int8: majority is no neural network" in refused


def test_what_training_had_is_known_from_its_own_words_alone(runs, tmp_path):
    """Other data may bring a training split of its own, and an older directory may not know its words."""
    (tmp_path / "other.conll").write_text("Peter B-PER\nNowak I-PER\n\nRome B-LOC\n\n", "utf8")
    trained = tmp_path / "trained"
    shutil.copytree(runs["majority"], trained)
    assert json.loads((trained / "words.json").read_text("utf8")) == [
        ".",
        "anna",
        "in",
        "lives",
        "peter",
        "rome",
        "sings",
    ]
    found = []
    for folder in ("known", "unknown"):
        files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / folder]
        invoke("evaluate", trained, "--test", tmp_path / "other.conll", *files)
        (path,) = (tmp_path / folder).glob("*/outcomes.jsonl")
        found.append([json.loads(line)["slices"] for line in path.read_text("utf8").splitlines()])
        (trained / "words.json").unlink(missing_ok=True)
    assert found == [[{"entity words": "unseen"}, {"entity words": "seen"}], [{}, {}]]
    (trained / "words.json").write_text("{", "utf8")
    assert "words.json: damaged" in invoke("evaluate", trained, "--test", tmp_path / "other.conll", code=2).stderr


def test_the_cost_of_an_example_follows_the_length_of_the_data(runs, tmp_path):
    costs = []
    for length in (4, 8):
        (tmp_path / "other.conll").write_text("Rome B-LOC\n" * length, "utf8")
        files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--json"]
        shown = invoke("evaluate", runs["cnn"], "--test", tmp_path / "other.conll", *files).stdout
        costs.append(json.loads(shown)["results"][0]["flops_per_example"])
    assert costs[1] == 2 * costs[0] > 0


def test_labels_that_the_model_never_saw_are_told(runs, tmp_path):
    (tmp_path / "other.conll").write_text("Peter B-PER\nlikes O\nHabeas B-LAW\n", "utf8")
    files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs"]
    shown = invoke("evaluate", runs["majority"], "--test", tmp_path / "other.conll", *files).stderr
    assert "test has labels that train has not, all of them counted as wrong: B-LAW (1)" in shown


def test_its_own_test_data_gives_the_scores_of_the_run(runs, tmp_path):
    files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--json"]
    result = json.loads(invoke("evaluate", runs["cnn"], "--dataset", "news", *files).stdout)["results"][0]
    assert result["n_examples"] > 100
    assert result["scores"]["f1"] < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to score on"),
        (["--dataset", "news", "--test", "own.conll"], "give one of them"),
        (["--dataset", "nosuch"], "unknown dataset 'nosuch'"),
        (["--dataset", "reviews"], "'reviews' maps text->label, the task needs tokens->tags"),
        (["--test", "none.conll"], "none.conll: no such file"),
    ],
)
def test_wrong_data_is_named(runs, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in invoke("evaluate", runs["majority"], *arguments, code=2).stderr
    assert not list(tmp_path.iterdir())
