"""What the board's commands cost: processor seconds and memory, each in a process of its own.

Boards are made up: accuracies on 1,000 examples without outcomes, and other metrics beside them. `board`, `compare`,
`report` and `merge` are measured as a person starts them, Python's start included; reading, appending to and studying a
board of a million rows as a program calls them, without it.
"""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import machine

ROOT = Path(__file__).parents[1]


class Shape(NamedTuple):
    """A board: so many contests of so many models, each of so many seeds, each run with so many metrics."""

    contests: int
    models: int
    seeds: int
    metrics: int

    @property
    def rows(self) -> int:
        """Of the file."""
        return self.contests * self.models * self.seeds * self.metrics


SHAPES = (Shape(20, 10, 5, 10), Shape(50, 20, 10, 1))
LARGE = Shape(100, 40, 10, 25)
QUICK = Shape(2, 3, 2, 2)

MERGED = "merged.csv"
COMMANDS = {
    "board": ["board", "a.csv"],
    "compare": ["compare", "a.csv", "b.csv"],
    "report": ["report", "a.csv", "--output", "page.html"],
    "merge": ["merge", "a.csv", "b.csv", "--output", MERGED],
}
CALLS = ("read_csv", "append", "study")

_PEAK = """
import atexit

def tell():
    with open("/proc/self/status") as status, open("peak", "w") as file:
        file.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))

atexit.register(tell)
"""
_COMMAND = _PEAK + "import runpy, sys; sys.argv = {}; runpy.run_module('suite', run_name='__main__', alter_sys=True)"
_CALL = _PEAK + "from benchmarks import board; board.call({!r})"


def run(
    *, backend: str = "", precision: str = "", repeats: int = 3, threads: int = 1, quick: bool = False
) -> list[dict[str, Any]]:
    """Rows of the CSV: each command on each board, then each call on the large board, once.

    Args:
        backend, precision: every benchmark is told; a board needs neither.
        repeats: of each command, of which the median is reported.
        threads: how many a numeric library may use.
        quick: whether tiny boards are enough, to see that everything runs.
    """
    rows = []
    for shape in (QUICK,) if quick else SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a", "b"):
                write(Path(folder) / f"{name}.csv", shape, name=name)
            for name, arguments in COMMANDS.items():
                code = _COMMAND.format(["suite", *arguments])
                rows.append(_row(name, shape, [_cost(code, Path(folder), threads) for _ in range(repeats)], threads))
    shape = QUICK if quick else LARGE
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "a.csv", shape, name="a")
        for name in CALLS:
            rows.append(_row(name, shape, [_cost(_CALL.format(name), Path(folder), threads)], threads))
    return rows


def write(path: Path, shape: Shape, *, name: str) -> None:
    """A board of that shape, row by row; another name, another board of the same models."""
    import leaderboard
    from leaderboard.schema import to_cell
    from suite.task import Result

    filled = Result(
        run_id="", timestamp="2026-01-31T12:00:00+00:00", suite_version="0.1.0", task="", task_version=1, dataset="",
        dataset_hash="", split="test", model="", config_hash="", seed=0, metric="accuracy", scores={"accuracy": 0.5},
        n_examples=1000, params=273_281, epochs=12, train_seconds=17.4, compile_seconds=3.5, examples_per_second=1145.0,
        peak_memory_mb=812.5, backend="tensorflow 2.21.0", device="a processor", precision="float32",
    )  # fmt: skip
    (told,) = leaderboard.rows(filled)
    cells = {column: to_cell(column, value) for column, value in told.items()}
    random = np.random.default_rng(sum(map(ord, name)))
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(cells), lineterminator="\n")
        writer.writeheader()
        for contest in range(shape.contests):
            there = {"task": f"task{contest % 8}", "dataset": f"data{contest}", "dataset_hash": f"{contest:016x}"}
            for model, level in enumerate(0.7 + 0.02 * random.standard_normal(shape.models)):
                for seed, value in enumerate(level + 0.01 * random.standard_normal(shape.seeds)):
                    mine = {"run_id": f"{name}-{contest}-{model}-{seed}", "model": f"model{model}", "seed": str(seed)}
                    mine |= {"config_hash": f"{model:016x}", "value": f"{round(float(value), 3):.3f}"}
                    for number in range(shape.metrics):
                        more = {"metric": f"other{number}", "primary": "false"} if number else {}
                        writer.writerow({**cells, **there, **mine, **more})


def call(name: str) -> None:
    """Does one of `CALLS` with the board in this folder, and prints its processor seconds."""
    import leaderboard

    work: Callable[[], Any]
    if name == "study":
        work = partial(leaderboard.study, leaderboard.read_csv("a.csv"))
    elif name == "append":
        work = partial(leaderboard.append, "a.csv", [{**_first("a.csv"), "run_id": "new"}])
    else:
        work = partial(leaderboard.read_csv, "a.csv")
    began = time.process_time()
    work()
    sys.stdout.write(json.dumps(time.process_time() - began))


def _first(path: str) -> dict[str, Any]:
    """The first row of a board, as `leaderboard.rows` gives them."""
    from leaderboard.schema import from_cell

    with Path(path).open(encoding="utf8", newline="") as file:
        return {column: from_cell(column, cell) for column, cell in next(csv.DictReader(file)).items()}


def _cost(code: str, folder: Path, threads: int) -> dict[str, float]:
    """Seconds on the clock, seconds of the processor and the largest memory of a new process that runs the code."""
    (folder / MERGED).unlink(missing_ok=True)  # which would not be overwritten
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    before, began = _children(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, processor = time.perf_counter() - began, _children() - before
    if done.returncode not in ((0, 1) if "'compare'" in code else (0,)):  # 1: something became worse
        raise RuntimeError(f"{code.splitlines()[-1]} ended with {done.returncode}:\n{done.stderr}")
    if "board.call" in code:
        processor = float(json.loads(done.stdout))
    return {"seconds": seconds, "cpu_seconds": processor, "peak_mib": int((folder / "peak").read_text()) / 2**10}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(name: str, shape: Shape, found: list[dict[str, float]], threads: int) -> dict[str, Any]:
    cpu = [each["cpu_seconds"] for each in found]
    return {
        "benchmark": "board",
        "command": name,
        "rows": shape.rows,
        **shape._asdict(),
        "repeats": len(found),
        "cpu_seconds": float(np.median(cpu)),
        "cpu_low": min(cpu),
        "cpu_high": max(cpu),
        "seconds": float(np.median([each["seconds"] for each in found])),
        "peak_mib": max(each["peak_mib"] for each in found),
        **machine("cpu", threads),
        **{f"{package}_version": importlib.metadata.version(package) for package in ("pandas", "scipy")},
    }
