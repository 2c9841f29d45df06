"""Signals, in a real process: Ctrl-C and a kill while a model trains."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import leaderboard

ROOT = Path(__file__).parents[1]
SETS = ["model.width=16", "model.depth=1", "train.batch_size=8", "train.epochs=3", "train.patience=9"]
COMMAND = [sys.executable, "-m", "suite", "run", "--task", "ner", "--model", "majority", "--model", "cnn"]
COMMAND += ["--limit", "60", "--device", "cpu", "--resume", *(part for setting in SETS for part in ("--set", setting))]


def start(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # a shell that starts this in the background would have it ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_what_was_reached_is_kept_and_continued(tmp_path, stop, code):
    seen = ""
    with start(tmp_path) as process:
        for line in process.stdout:
            seen += line
            if "epoch 1/3" in line:
                process.send_signal(stop)
                break
        seen += process.stdout.read()
    assert process.returncode == code, seen
    if stop == signal.SIGINT:
        assert "--resume continues" in seen
        assert "majority" in seen.split("f1 ↑")[1]  # the table of what was finished
        assert "Traceback" not in seen
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    assert set(board["model"]) == {"ceiling", "majority"}
    with start(tmp_path) as process:
        seen = process.stdout.read()
    assert process.returncode == 0, seen
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    assert set(board["model"]) == {"ceiling", "majority", "cnn"}
    assert not board.duplicated(["model", "seed", "metric"]).any()
    assert len(list((tmp_path / "runs").iterdir())) == 2
