"""What the README shows works as it is shown."""

import itertools
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suite import find
from suite.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^    (?:\w+=\w+ )?python -m suite (.*?)(?:#.*)?$", README, flags=re.MULTILINE)


def snippet(start):
    (found,) = [text for text in SNIPPETS if text.startswith(start)]
    return found


def test_the_architecture_and_the_dataset_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_model.py").write_text(snippet("# my_model.py"), "utf8")
    Path("my_data.py").write_text(snippet("# my_data.py"), "utf8")
    arguments = ["--model", "./my_model.py", "--model", "majority", "--dataset", "./my_data.py", "--epochs", "1"]
    result = CliRunner().invoke(app, ["run", "--task", "ner", *arguments])
    assert result.exit_code == 0, result.output
    assert "my_model" in result.stdout
    board = {"board": None}
    exec(next(text for text in SNIPPETS if "leaderboard" in text), board)
    assert len(board["board"]) > 0


def test_both_set_up_commands_are_there_and_ci_calls_the_second():
    commands = re.findall(r"^    (pip install .*)$", README, flags=re.MULTILINE)
    assert commands[0] == "pip install -e . && python -m suite run --task ner"
    assert commands[1] == "pip install -e '.[test]' && pytest"
    ci = (ROOT / ".ci" / "run").read_text("utf8")
    assert "pip install --quiet -e '.[test]'" in ci
    assert "\npytest\n" in ci


@pytest.mark.parametrize("line", COMMANDS)
def test_every_flag_and_name_shown_exists(line):
    command, *rest = shlex.split(line)
    shown = CliRunner().invoke(app, [command, "--help"]).stdout
    for flag in rest:
        assert not flag.startswith("--") or flag in shown
    datasets = {path.stem for path in (ROOT / "suite" / "data" / "datasets").glob("*.py")}
    for option, known in {"--task": {*find.tasks(), "all"}, "--dataset": datasets}.items():
        for name in [after for flag, after in itertools.pairwise(rest) if flag == option]:
            assert name.partition(":")[0] in known or name.startswith("./")


def test_every_tested_version_satisfies_the_lower_bounds():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text("utf8").splitlines()
    pinned = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in lines if "==" in line)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text
