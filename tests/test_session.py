"""`--task all`: every task, and one that fails stops no other."""

import json

import pytest
from typer.testing import CliRunner

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
