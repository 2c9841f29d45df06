"""How long until a language model of Tiny Shakespeare's characters reaches a loss: ours, and nanoGPT's recipe.

A run is a new process, and its seconds are those from its start to its end: imports, compilation, training, and the
loss on all of the 111,540 characters that end the text, in windows side by side, for until then nobody knows that it
was reached. So ours are charged with all that `python -m suite run` does: tokenizing, validation, samples of text, the
saved model. The recipe takes its loss once, after its last step, and saves nothing. Runs take turns, in a new order
each round, and have the machine's processors to themselves as far as it lets them; beside the seconds on the clock
stand those of all processors, which a busy machine disturbs less.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import machine
from suite.data import sources
from suite.errors import InputError

RECIPE = "nanogpt"
DATASET = "tiny_shakespeare:nanogpt"


class Goal(NamedTuple):
    """What one of our configurations is to reach.

    Args:
        overlay: of configs/generation.toml.
        loss: nats a character, at most.
        share: of the recipe's seconds, at most.
    """

    overlay: str
    loss: float
    share: float


GOALS = (Goal("tiny_third", 1.88, 1 / 3), Goal("tiny_equal", 1.60, 1.0))


def run(
    *, backend: str, precision: str = "float32", repeats: int = 3, threads: int = 2, quick: bool = False
) -> list[dict[str, Any]]:
    """A row for each round and run.

    Args:
        backend: of Keras.
        precision: of features, in ours; weights are float32, and the recipe's are as well.
        repeats: rounds.
        threads: processors for each run.
        quick: whether a few steps on a little text are enough, to see that everything runs.

    Raises:
        InputError: SUITE_DATA names no folder with the text.
    """
    path = sources.find_file(("input.txt",), data_dir=None, subfolder="tfds_manual")
    if path is None:
        raise InputError(
            "time_to_quality needs Tiny Shakespeare: name a folder with tfds_manual/input.txt as SUITE_DATA"
        )
    order = np.random.default_rng(0)
    rows = []
    for repeat in range(1 if quick else repeats):
        found: dict[str, dict[str, float]] = {}
        for name in order.permutation([RECIPE, *(goal.overlay for goal in GOALS)]):
            if name == RECIPE:
                found[RECIPE] = recipe(path, threads=threads, seed=repeat, quick=quick)
            else:
                found[str(name)] = ours(
                    str(name), backend=backend, precision=precision, threads=threads, seed=repeat, quick=quick
                )
        limit = found[RECIPE]["seconds"]
        for goal in (Goal(RECIPE, np.inf, 1.0), *GOALS):
            row = found[goal.overlay]
            ratio = row["seconds"] / limit
            reached = bool(row["loss"] <= goal.loss and ratio <= goal.share)
            rows.append({"repeat": repeat, "peer": goal.overlay, **row, "ratio": ratio, **_wanted(goal), "ok": reached})
    described = machine("cpu", threads)
    return [
        {"benchmark": "time_to_quality", "backend": backend, "precision": precision, **row, **described} for row in rows
    ]


def _wanted(goal: Goal) -> dict[str, float]:
    return {"wanted_loss": goal.loss, "wanted_ratio": goal.share}


def recipe(path: Path, *, threads: int, seed: int, quick: bool) -> dict[str, float]:
    """What nanoGPT's recipe reaches: loss, parameters, seconds on the clock and of all processors."""
    steps = ["--steps", "2"] if quick else []
    text, cost = _timed(
        ["benchmarks.nanogpt", str(path), "--seed", str(seed), "--threads", str(threads), *steps], threads=threads
    )
    found = json.loads(text.splitlines()[-1])
    return {"loss": found["loss"], "parameters": found["parameters"], **cost}


def ours(overlay: str, *, backend: str, precision: str, threads: int, seed: int, quick: bool) -> dict[str, float]:
    """What a configuration of ours reaches, as `recipe`."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["suite", "run", "--task", "generation", "--dataset", DATASET, "--model", "transformer"]
        command += ["--overlay", overlay, "--seed", str(seed), "--precision", precision, "--device", "cpu"]
        command += ["--output", folder, "--leaderboard", str(Path(folder) / "board.csv")]
        command += ["--overlay", "smoke"] if quick else []
        _, cost = _timed(command, threads=threads, KERAS_BACKEND=backend)
        (path,) = Path(folder).glob("*/result.json")
        result = json.loads(path.read_text(encoding="utf8"))
    return {"loss": result["scores"]["loss"], "parameters": result["params"], **cost}


def _timed(arguments: list[str], *, threads: int, **variables: str) -> tuple[str, dict[str, float]]:
    """What ``python -m ...`` prints, and its seconds."""
    before, began = _children(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": str(threads), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"python -m {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout, {"seconds": seconds, "cpu_seconds": _children() - before}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
