"""What `run` does with several models and tasks: one that fails stops no other, and rows say how they came about."""

import json

import pytest
from typer.testing import CliRunner

import leaderboard
from suite import find
from suite.cli import app


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, ["run", "--task", "all", *arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_task_runs_on_its_embedded_data(tmp_path):
    shown = invoke("--model", "majority", "--limit", "60")
    for task in find.tasks():
        assert f"{task} on " in shown.stdout
    results = json.loads(invoke("--model", "majority", "--limit", "60", "--json", "--quiet").stdout)["results"]
    assert {result["task"] for result in results if result["model"] == "majority"} == set(find.tasks())


def test_a_task_that_fails_is_named_and_stops_no_other(monkeypatch):
    monkeypatch.setattr(find, "tasks", lambda: ["nosuch", "ner"])
    result = invoke("--model", "majority", "--limit", "30", code=2)
    assert "error: nosuch: unknown task 'nosuch'" in result.stderr
    assert "ner on news" in result.stdout


@pytest.mark.parametrize("arguments", [["--dataset", "news"], ["--train", "a.conll"]])
def test_data_belongs_to_one_task(arguments):
    assert "data belongs to one task" in invoke(*arguments, code=2).stderr


LEAKS = """
from pydantic import BaseModel


class Config(BaseModel):
    width: int = 8


def encoder(config):
    from keras import layers, ops

    return lambda x, mask: layers.Dense(config.width)(x + ops.mean(x, axis=1, keepdims=True))
"""


def test_a_model_that_reads_padding_gets_a_failed_row_and_no_score(tmp_path):
    (tmp_path / "leaks.py").write_text(LEAKS, "utf8")
    arguments = ["run", "--task", "ner", "--model", "./leaks.py", "--model", "majority", "--limit", "30"]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu"])
    assert result.exit_code == 1
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv").set_index("model")
    (row,) = board.loc[["leaks"]].to_dict("records")
    assert row["status"] == "failed"
    assert "probe 'padding' failed before training" in row["note"]
    assert board.loc["majority", "status"].eq("ok").all()


def test_a_row_says_what_the_model_passed_and_how_often_test_was_scored(tmp_path):
    arguments = ["run", "--task", "ner", "--model", "cnn", "--model", "majority", "--limit", "30", "--epochs", "1"]
    for seed in ("0", "1"):
        shown = CliRunner().invoke(app, [*arguments, "--seed", seed, "--device", "cpu"])
        assert shown.exit_code == 0, shown.output
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    assert board[board["model"] == "majority"]["flops_per_example"].isna().all()
    board = board[board["primary"] & (board["model"] == "cnn")].set_index("seed")
    plan = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--dry-run", "--json"]).stdout
    assert board["flops_per_example"].tolist() == [json.loads(plan)[0]["flops_per_example"]] * 2
    assert board["certificate"].tolist() == ["padding, batch"] * 2
    assert board["selected_on"].tolist() == ["validation"] * 2
    assert board["test_scored"].to_dict() == {0: 1, 1: 2}
    assert (board["tokens_per_second"] > board["examples_per_second"]).all()
    assert board["libraries"].str.contains("keras ").all()
