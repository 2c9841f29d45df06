"""`run --jobs`: several runs at once leave what they leave one after another, and none outlives the command."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import leaderboard
from suite import backend
from suite.cli import app
from suite.errors import InputError, RunError
from suite.jobs import Job, Jobs
from suite.preparing import Source

ROOT = Path(__file__).parents[1]
TINY = ["--task", "ner", "--limit", "30", "--epochs", "1"]

pytestmark = pytest.mark.skipif(backend.processors() < 2, reason="one processor cannot be divided")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, ["run", *TINY, *arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert not multiprocessing.active_children()
    return result


def rows(path):
    board = leaderboard.read_csv(path)
    return board.sort_values(["model", "seed", "metric"]).reset_index(drop=True)


def test_rows_are_those_of_runs_one_after_another():
    models = ["--model", "classic", "--model", "majority", "--seeds", "2"]
    shown = invoke(*models, "--jobs", "2", "--leaderboard", "jobs.csv").stdout
    assert shown.index("classic") < shown.index("majority")  # in the order of the command line, whoever ended first
    invoke(*models, "--leaderboard", "one.csv")
    several, one = rows(Path("jobs.csv")), rows(Path("one.csv"))
    told = ["task", "dataset_hash", "model", "seed", "config_hash", "metric", "value", "status"]
    assert several[told].equals(one[told])
    assert len(several[several["primary"] & (several["model"] != "ceiling")]) == 4


def test_each_run_has_its_share_of_the_processors():
    invoke("--model", "cnn", "--model", "majority", "--jobs", "2", "--device", "cpu")
    board = rows(Path("leaderboard/results.csv")).set_index("model")
    share = -(-backend.processors() // 2), backend.processors() // 2
    for model in ("cnn", "majority"):
        device = board.loc[[model], "device"].iloc[0]
        assert device.endswith(tuple(f", {count} cores" for count in share))


def test_a_finished_run_is_kept_when_resuming():
    invoke("--model", "majority", "--seeds", "2", "--jobs", "2")
    invoke("--model", "majority", "--seeds", "3", "--jobs", "2", "--resume")
    assert len(list(Path("runs").iterdir())) == 3


MODEL = """
import os
import signal

from pydantic import BaseModel


class Config(BaseModel):
    width: int = 8


def encoder(config):
    {what}
"""


@pytest.mark.parametrize(
    ("what", "code", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 1, "a process that trained was killed"),
        ("from suite.errors import InputError; raise InputError('no such layer')", 2, "no such layer"),
    ],
)
def test_a_process_that_cannot_go_on_is_told(tmp_path, what, code, told):
    (tmp_path / "own.py").write_text(MODEL.format(what=what), "utf8")
    result = invoke("--model", "./own.py", "--model", "majority", "--jobs", "2", "--device", "cpu", code=code)
    assert told in result.stderr


def test_more_runs_at_once_than_processors_are_refused():
    many = backend.processors() + 1
    assert f"expected at most {many - 1}" in invoke("--jobs", str(many), code=2).stderr
    assert not Path("runs").exists()


def test_processes_end_with_the_command():
    with Jobs(2) as jobs:
        for _ in range(3):
            jobs.pool.submit(time.sleep, 600)
        assert len(multiprocessing.active_children()) == 2
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("task", "error"), [("os.kill(os.getpid(), signal.SIGKILL)", RunError), ("TASK = None", InputError)]
)
def test_others_can_be_run_after_a_broken_one(tmp_path, task, error):
    (tmp_path / "own.py").write_text(f"import os, signal\n{task}\n", "utf8")
    job = Job(str(tmp_path / "own.py"), Source(dataset=""), "{}", tmp_path, *[False] * 5)
    with Jobs(2) as jobs:
        slow = jobs.pool.submit(time.sleep, 600)
        with pytest.raises(error):
            list(jobs.run_all([job]))
        assert slow.done()
        assert jobs.pool.submit(abs, -1).result() == 1


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_all_runs_quietly(tmp_path):
    command = [sys.executable, "-m", "suite", "run", *TINY, "--model", "cnn", "--model", "rnn", "--jobs", "2"]
    command += ["--epochs", "500", "--set", "train.patience=500", "--device", "cpu"]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        seen = ""
        for line in process.stdout:
            seen += line
            if "epoch 2/500" in line:
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes are told
                break
        seen += process.stdout.read()  # until the last process has let go of it
    assert process.returncode == 130, seen
    assert "Traceback" not in seen
    assert "--resume continues" in seen
