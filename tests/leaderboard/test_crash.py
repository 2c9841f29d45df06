"""Many writers at once, writers that are killed, and disks that are full: the board is whole at every moment."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import leaderboard
from suite.errors import RunError

ROOT = Path(leaderboard.__file__).parents[1]
WRITER = """
import sys
from leaderboard import COLUMNS, append

def row(run_id):
    values = {name: "" if column.dtype == "string" else None for name, column in COLUMNS.items()}
    return {**values, "schema_version": 1, "run_id": run_id, "metric": "f1", "value": 0.5, "status": "ok"}
"""


def row(run_id):
    values = {name: "" if column.dtype == "string" else None for name, column in leaderboard.COLUMNS.items()}
    return {**values, "schema_version": 1, "run_id": run_id, "metric": "f1", "value": 0.5, "status": "ok"}


def start(script, *arguments, **options):
    command = [sys.executable, "-c", WRITER + textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, **options)


def beside(path):
    return sorted(other.name for other in path.parent.iterdir() if other != path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to start many writers fast")
def test_two_hundred_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "board.csv"
    script = """
    from multiprocessing import get_context

    def write(number):
        for i in range(2):
            assert append(sys.argv[1], [row(f"{number}-{i}")]) == 1

    writers = [get_context("fork").Process(target=write, args=[number]) for number in range(200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    sys.exit(any(writer.exitcode for writer in writers))
    """
    assert start(script, path).wait(300) == 0
    found = sorted(leaderboard.read_csv(path)["run_id"])
    assert found == sorted(f"{number}-{i}" for number in range(200) for i in range(2))
    assert beside(path) == ["board.csv.lock"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_writer_killed_at_any_moment_leaves_a_whole_board(tmp_path):
    path = tmp_path / "board.csv"
    leaderboard.append(path, [row(f"old-{i}") for i in range(2000)])
    script = """
    i = int(sys.argv[2])
    print("ready", flush=True)
    while True:
        append(sys.argv[1], [row(str(i - 1)), row(str(i))])
        i += 1
    """
    moments = random.Random(0)
    done = 0
    for _ in range(10):
        writer = start(script, path, done, stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(moments.uniform(0.02, 0.12))
        writer.kill()
        writer.wait()
        writer.stdout.close()
        found = list(leaderboard.read_csv(path)["run_id"])  # a row that was cut off would be a warning, thus an error
        assert found[:2000] == [f"old-{i}" for i in range(2000)]
        assert found[2000:] == [str(i) for i in range(-1, len(found) - 2001)]
        done = max(len(found) - 2001, 0)
    assert done > 0
    leaderboard.append(path, [row("last")])
    assert beside(path) == ["board.csv.lock"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_without_room_leaves_the_board_as_it_was(tmp_path, monkeypatch, code):
    path = tmp_path / "board.csv"
    leaderboard.append(path, [row("r1")])
    before = path.read_bytes()

    def full(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    for act in (leaderboard.check, lambda where: leaderboard.append(where, [row("r2")])):
        with pytest.raises(RunError, match=rf"board\.csv: .*{os.strerror(code)}.*as it was"):
            act(path)
        assert path.read_bytes() == before
        assert beside(path) == ["board.csv.lock"]


def test_a_repair_on_a_full_disk_leaves_the_board_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "board.csv"
    leaderboard.append(path, [row("r1")])
    path.write_bytes(path.read_bytes() + b"1,r2,")
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        leaderboard.check(path)
    assert path.read_bytes() == before
    assert beside(path) == ["board.csv.lock"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs to be root on Linux to mount a small disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_fills_up(small_disk):
    path = small_disk / "board.csv"
    added = 0

    def fill():
        nonlocal added
        while added < 1000:
            added += leaderboard.append(path, [row(f"r{added}")])

    with pytest.raises(RunError, match=r"board\.csv: .*No space left on device"):
        fill()
    assert added > 10
    assert list(leaderboard.read_csv(path)["run_id"]) == [f"r{i}" for i in range(added)]
    assert beside(path) == ["board.csv.lock"]
    path.with_name("other").write_bytes(b"x" * 4096)
    with pytest.raises(RunError, match="No space left on device"):
        leaderboard.check(path)
