"""A run is run again from its directory alone, and the difference is judged."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

import leaderboard
from suite.cli import app
from suite.records import Directory

TINY = ["model.width=16", "model.depth=1", "features.words=8", "features.characters=8", "train.batch_size=8"]
ROWS = "Peter B-PER\nlives O\nin O\nRome B-LOC\n\nAnna B-PER\nsings O\n. O\n\n" * 12


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two models on a file of the user's own, seed 0."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.conll").write_text(ROWS, "utf8")
    sets = [part for setting in TINY for part in ("--set", setting)]
    command = ["run", "--task", "ner", "--train", "own.conll", "--epochs", 2, "--device", "cpu", "--json", *sets]
    results = json.loads(invoke(*command, "--model", "cnn", "--model", "majority").stdout)["results"]
    return {result["model"]: result["run_id"] for result in results}


def verdict(run, *arguments, code=0):
    return json.loads(invoke("verify", run, "--device", "cpu", "--json", *arguments, code=code).stdout)


@pytest.mark.parametrize("model", ["cnn", "majority"])
def test_the_same_run_again_is_identical_and_adds_no_row(runs, model, tmp_path, monkeypatch):
    before = (tmp_path / "leaderboard" / "results.csv").read_bytes()
    found = verdict(runs[model])
    assert found["kind"] == "identical"
    assert found["before"] == found["after"]
    assert found["changed"] == []
    assert (tmp_path / "leaderboard" / "results.csv").read_bytes() == before
    assert (tmp_path / "runs" / found["run_id"] / "result.json").is_file()


def test_outcomes_of_a_version_that_told_no_parts_are_the_same(runs, tmp_path):
    path = tmp_path / "runs" / runs["majority"] / "outcomes.jsonl"
    told = [json.loads(line) for line in path.read_text("utf8").splitlines()]
    assert all(each.pop("slices") for each in told)
    path.write_text("".join(json.dumps(each) + "\n" for each in told), "utf8")
    assert verdict(runs["majority"])["kind"] == "identical"


def test_another_result_is_judged_by_other_seeds(runs, tmp_path):
    """The directory is made to tell of a score that this run never had."""
    path = tmp_path / "runs" / runs["majority"] / "result.json"
    told = json.loads(path.read_text("utf8"))
    right = told["scores"]["f1"]
    told["scores"] = {"f1": right - 0.6}
    told["backend"] = "scikit-learn 0.1"
    path.write_text(json.dumps(told), "utf8")
    assert verdict(runs["majority"])["kind"] == "cannot tell"
    result = Directory(path.parent).finished()
    for name, spread in (("close", 0.001), ("far", 0.4)):
        rows = [
            row
            for seed in (1, 2, 3)
            for row in leaderboard.rows(
                dataclasses.replace(
                    result,
                    run_id=f"other{seed}",
                    seed=seed,
                    scores={"f1": min(1.0, max(0.0, right - 0.6 + (seed - 2) * spread))},
                )
            )
        ]
        leaderboard.append(tmp_path / f"{name}.csv", rows)
    far = verdict(runs["majority"], "--leaderboard", "close.csv", code=1)
    assert far["kind"] == "different"
    assert any(line.startswith("backend: scikit-learn 0.1, now scikit-learn ") for line in far["changed"])
    assert verdict(runs["majority"], "--leaderboard", "far.csv")["kind"] == "within noise"


def test_data_that_changed_and_runs_that_are_none_are_refused(runs, tmp_path):
    with (tmp_path / "own.conll").open("a", encoding="utf8") as file:
        file.write("Rome B-LOC\n\n")
    assert "the data is not what it was" in invoke("verify", runs["majority"], "--quiet", code=2).stderr
    assert "neither a run's directory nor the id of a run" in invoke("verify", "nosuch", code=2).stderr
