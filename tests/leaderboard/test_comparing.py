"""Two boards: what became worse, what may not be compared, and what the commands say and how they end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import leaderboard
from suite.commands import board as board_command
from suite.commands import compare as compare_command
from suite.commands import merge as merge_command
from suite.task import Result

ROOT = Path(leaderboard.__file__).parents[1]

app = typer.Typer()
app.command("board")(board_command.board)
app.command("compare")(compare_command.compare)
app.command("merge")(merge_command.merge)


def call(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def write(path, name, changes=(), runs=None, **shared):
    """A board of five seeds of one model; the accuracy of each, with outcomes where `runs` is a folder."""
    generator = np.random.default_rng(list(name.encode()))
    for seed in range(5):
        right = generator.random(400) < shared.get("quality", 0.8)
        run_id = f"{name}-{seed}"
        if runs is not None:
            (runs / run_id).mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps({"right": bool(each)}) + "\n" for each in right)
            (runs / run_id / "outcomes.jsonl").write_text(text, encoding="utf-8")
            config = {"config": {"seed": seed, "train": {"epochs": shared.get("epochs", 3)}}}
            (runs / run_id / "run.json").write_text(json.dumps(config), encoding="utf-8")
        values = {
            "run_id": run_id,
            "timestamp": "2025-01-31T12:00:00+00:00",
            "suite_version": "0.1.0",
            "task": "t",
            "task_version": 1,
            "dataset": "d",
            "dataset_hash": "0a",
            "split": "test",
            "model": "m",
            "config_hash": f"c{shared.get('epochs', 3)}",
            "seed": seed,
            "metric": "accuracy",
            "scores": {"accuracy": float(right.mean())},
            "n_examples": 400,
            "examples_per_second": 100.0,
            "device": "CPU",
            **dict(changes),
        }
        leaderboard.append(path, leaderboard.rows(Result(**values)))
    return path


def test_a_real_loss_is_worse_and_ends_with_1(tmp_path):
    runs = tmp_path / "runs"
    a = write(tmp_path / "a.csv", "a", runs=runs)
    b = write(tmp_path / "b.csv", "b", runs=runs, quality=0.6, epochs=1)
    done = call("compare", a, b, "--runs", runs)
    assert done.exit_code == 1, done.output
    assert "After less before: 1 worse" in done.output
    assert "train.epochs: 3 -> 1" in done.output
    (change,) = leaderboard.compare(leaderboard.read_csv(a), leaderboard.read_csv(b), runs=[runs]).changes
    assert change.pair.certainty == "seeds and examples"
    assert change.pair.high < -0.1
    assert change.speed == 1.0
    assert call("compare", a, b, "--runs", runs, "--threshold", "0.5").exit_code == 0
    assert call("compare", b, a, "--runs", runs).exit_code == 0  # a gain is no regression


def test_noise_is_no_loss_and_the_same_answers_are_told(tmp_path):
    runs = tmp_path / "runs"
    a, b = write(tmp_path / "a.csv", "a", runs=runs), write(tmp_path / "b.csv", "b", runs=runs)
    assert "1 not resolved" in call("compare", a, b, "--runs", runs).output
    done = call("compare", a, a, "--runs", runs)
    assert (done.exit_code, "1 same answers" in done.output) == (0, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task_version": 2}, "task_version 1 and 2"),
        ({"dataset_hash": "0b"}, "dataset_hash 0a and 0b"),
        ({"split": "validation"}, "split test and validation"),
        ({"metric": "exact", "scores": {"exact": 0.5}}, "metric accuracy and exact"),
    ],
)
def test_what_may_not_be_compared_is_refused_with_the_reason(tmp_path, changes, reason):
    a, b = write(tmp_path / "a.csv", "a"), write(tmp_path / "b.csv", "b", changes.items())
    done = call("compare", a, b)
    assert done.exit_code == 2
    assert reason in done.output
    (change,) = leaderboard.compare(leaderboard.read_csv(a), leaderboard.read_csv(b)).changes
    assert (change.verdict, change.pair) == ("refused", None)


def test_speeds_of_different_hardware_are_never_compared(tmp_path):
    a, b = write(tmp_path / "a.csv", "a"), write(tmp_path / "b.csv", "b", {"device": "GPU"}.items())
    (change,) = leaderboard.compare(leaderboard.read_csv(a), leaderboard.read_csv(b)).changes
    assert change.speed is None
    assert "device: CPU -> GPU" in change.differs
    assert "speeds were not compared, as the hardware differs" in change.differs


def test_new_and_missing_models_and_seeds_are_named(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    write(a, "a"), write(b, "b"), write(a, "old", {"model": "old"}.items()), write(b, "new", {"model": "new"}.items())
    one, two = leaderboard.read_csv(a), leaderboard.read_csv(b)
    found = leaderboard.compare(one[one["seed"] < 4], two[two["seed"] > 0])
    assert {change.model: change.verdict for change in found.changes} == {
        "m": "not resolved",
        "old": "missing",
        "new": "new",
    }
    (change,) = found.compared
    assert list(change.seeds) == [1, 2, 3]
    assert change.reason == "seeds 0 only before; seeds 4 only after"


def test_one_seed_without_outcomes_is_an_honest_cannot_tell(tmp_path):
    a, b = leaderboard.read_csv(write(tmp_path / "a.csv", "a")), leaderboard.read_csv(write(tmp_path / "b.csv", "b"))
    (change,) = leaderboard.compare(a[a["seed"] == 0], b[b["seed"] == 0]).changes
    assert change.verdict == "cannot tell"
    assert "one seed" in change.reason


def test_markdown_and_json(tmp_path):
    a = write(tmp_path / "a.csv", "a", {"model": "<b>|x"}.items())
    done = call("compare", a, a, "--format", "markdown")
    assert "| &lt;b&gt;\\|x |" in done.output
    (row,) = json.loads(call("compare", a, a, "--format", "json").output)
    assert row["model"] == "<b>|x"


@pytest.mark.parametrize("content", [b"", b"name,price\nx,1\n", b"\x89PNG\r\n", None])
def test_unusable_files_end_with_2(tmp_path, content):
    a, b = write(tmp_path / "a.csv", "a"), tmp_path / "b.csv"
    if content is not None:
        b.write_bytes(content)
    for command in (("compare", a, b), ("compare", b, a)):
        assert call(*command).exit_code == 2
    assert call("board", b).exit_code == (0 if content == b"" else 2)


def test_boards_are_merged_and_columns_of_others_kept(tmp_path):
    a, b = write(tmp_path / "a.csv", "a"), write(tmp_path / "b.csv", "b")
    table = pd.read_csv(b, dtype=str, keep_default_na=False)
    table.insert(2, "who", "ann")
    table.to_csv(b, index=False)
    done = call("merge", a, b, a, "--output", tmp_path / "c.csv")
    assert (done.exit_code, "10 rows of 15 in 3 boards" in done.output) == (0, True)
    merged = leaderboard.read_csv(tmp_path / "c.csv")
    assert sorted(merged["who"]) == [""] * 5 + ["ann"] * 5
    pd.testing.assert_frame_equal(merged[list(leaderboard.COLUMNS)][:5], leaderboard.read_csv(a))
    assert call("merge", a, b, "--output", tmp_path / "c.csv").exit_code == 2  # nothing is overwritten


def test_contradictions_are_named_and_nothing_is_written(tmp_path):
    a = write(tmp_path / "a.csv", "a")
    (tmp_path / "b.csv").write_text(a.read_text("utf8").replace(",m,", ",other,", 1), encoding="utf-8")
    done = call("merge", a, tmp_path / "b.csv", "--output", tmp_path / "c.csv")
    assert done.exit_code == 2
    assert "run 'a-0', metric 'accuracy', status 'ok': model m and other" in done.output
    assert not (tmp_path / "c.csv").exists()
    assert call("merge", a, tmp_path / "b.csv", "--output", tmp_path / "c.csv", "--keep-first").exit_code == 0
    assert set(leaderboard.read_csv(tmp_path / "c.csv")["model"]) == {"m"}


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex", "json"])
@pytest.mark.parametrize("by", [None, "seed", "dataset", "backend"])
def test_every_form_of_the_board(tmp_path, form, by):
    runs = tmp_path / "runs"
    path = write(tmp_path / "a.csv", "a", runs=runs)
    write(path, "b", {"model": "<script>&%_" + "x" * 3000}.items(), runs=runs)
    write(path, "c", {"model": "=1+1"}.items(), runs=runs)
    done = call("board", path, "--runs", runs, "--format", form, *(["--by", by] if by else []), "--slices")
    assert done.exit_code == 0, done.output
    if form == "json":
        assert len(json.loads(done.output)["summary"]) == 3
    elif form == "csv":
        assert "\n'=1+1" not in done.output.replace("'=1+1", "")
        assert ",=1+1" not in done.output
    else:
        assert "x" * 100 not in done.output
        assert ("<script>" in done.output) == (form != "markdown")


def test_unknown_tasks_and_metrics_are_refused_with_a_hint(tmp_path):
    path = write(tmp_path / "a.csv", "a")
    assert "did you mean 't'" in call("board", path, "--task", "tt").output
    assert "did you mean 'accuracy'" in call("board", path, "--metric", "acuracy").output


@pytest.mark.filterwarnings("ignore:.*cut off")
def test_damaged_boards_end_with_a_message(tmp_path, mutations):
    """Fuzzing: whatever the file holds, a result or a reason, never a traceback."""
    path = write(tmp_path / "a.csv", "a")
    data = path.read_bytes()
    other = tmp_path / "b.csv"
    for damaged in mutations(data, count=60):
        other.write_bytes(damaged)
        for command in (("board", other), ("compare", path, other)):
            done = call(*command)
            assert done.exit_code in (0, 1, 2), damaged
            assert "fault of the program" not in done.output, (damaged, done.output)


def test_no_board_command_imports_a_framework(tmp_path):
    path = write(tmp_path / "a.csv", "a")
    script = (
        "import sys, typer\n"
        "from suite.commands.board import board\n"
        "app = typer.Typer(); app.command()(board)\n"
        f"app([{str(path)!r}], standalone_mode=False)\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'statsmodels', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
