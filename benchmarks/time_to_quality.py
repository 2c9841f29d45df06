"""How long until a model is known to have a quality: ours, and a recipe that others publish, on the same data.

A run is a new process, and its seconds are those from its start to its end: imports, compilation, training, and the
score on all of test, for until then nobody knows that it was reached. So ours are charged with all that `python -m
suite run` does: tokenizing, probes, validation, the saved model; nothing is found in a cache. A recipe takes its score
once, after its last step, and saves nothing that it does not need. Runs take turns, in a new order each round, and have
the machine's processors to themselves as far as it lets them; beside the seconds on the clock stand those of all
processors, which a busy machine disturbs less.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import machine
from suite.data import sources
from suite.data.datasets import spoken_digit, sst2, wnut17
from suite.errors import InputError


class Goal(NamedTuple):
    """What one of our configurations is to reach.

    Args:
        name: of the row.
        arguments: of `python -m suite run`, beside those that all of a race have.
        score: at least, or at most where less is better.
        share: of the recipe's seconds, at most.
    """

    name: str
    arguments: tuple[str, ...]
    score: float
    share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Race:
    """Runs on the same data.

    Args:
        file: of the data, below the folder that SUITE_DATA names.
        available: whether the data is there.
        arguments: of all runs of ours.
        metric: the score; a recipe's is under the same name.
        lower_is_better: its direction.
        goals: of ours.
        recipes: name -> the module that `python -m` runs, and its arguments. The first is what ours compare with.
        quick: further arguments of a recipe that is to learn a little only.
        needs: a package that the recipes need and the suite does not.
    """

    file: str
    available: Callable[[], bool]
    arguments: tuple[str, ...]
    metric: str
    lower_is_better: bool = False
    goals: Sequence[Goal]
    recipes: Mapping[str, tuple[str, ...]]
    quick: tuple[str, ...] = ("--quick",)
    needs: str = ""

    @property
    def worst(self) -> float:
        """The score that any run reaches."""
        return np.inf if self.lower_is_better else -np.inf

    def reached(self, score: float, wanted: float) -> bool:
        """Whether the score is as good as wanted."""
        return score <= wanted if self.lower_is_better else score >= wanted


def _text() -> Path | None:
    return sources.find_file(("input.txt",), data_dir=None, subfolder="tfds_manual")


RACES = {
    "time_to_quality": Race(
        file="tfds_manual/input.txt",
        available=lambda: _text() is not None,
        arguments=("--task", "generation", "--dataset", "tiny_shakespeare:nanogpt", "--model", "transformer"),
        metric="loss",
        lower_is_better=True,
        goals=(
            Goal("tiny_third", ("--overlay", "tiny_third"), 1.88, 1 / 3),
            Goal("tiny_equal", ("--overlay", "tiny_equal"), 1.60, 1.0),
        ),
        recipes={"nanogpt": ("benchmarks.nanogpt", "{text}", "--threads", "{threads}")},
        quick=("--steps", "2"),
        needs="torch",
    ),
    "time_to_sst2": Race(
        file="sentiment/sst2/train.tsv",
        available=lambda: sst2.available(),
        arguments=("--task", "sentiment", "--dataset", "sst2"),
        metric="accuracy",
        goals=(
            Goal("sst2_fast", ("--model", "textcnn", "--overlay", "sst2_fast"), 0.80, 0.5),
            Goal("classic", ("--model", "classic"), 0.80, 0.5),
        ),
        recipes={
            "keras_io": ("benchmarks.keras_io_text",),
            "keras_io_short": ("benchmarks.keras_io_text", "--length", "64"),
        },
    ),
    "time_to_wnut17": Race(
        file="ner/wnut17/train.conll",
        available=lambda: wnut17.available(),
        arguments=("--task", "ner", "--dataset", "wnut17"),
        metric="f1",
        goals=(
            Goal("wnut17_fast", ("--model", "cnn", "--overlay", "wnut17_fast"), 0.1735, 0.5),
            Goal("classic", ("--model", "classic"), 0.1735, 0.5),
        ),
        recipes={"spacy": ("benchmarks.spacy_tagger",)},
        needs="spacy",
    ),
    "time_to_spoken_digit": Race(
        file="tfds_manual/free-spoken-digit-dataset-1.0.9.tar.gz",
        available=lambda: spoken_digit.available(),
        arguments=("--task", "audio", "--dataset", "spoken_digit"),
        metric="accuracy",
        goals=(
            Goal("spoken_digit_fast", ("--model", "cnn", "--overlay", "spoken_digit_fast"), 0.97, 0.5),
            Goal("classic", ("--model", "classic"), 0.97, 0.5),
        ),
        recipes={
            "m5": ("benchmarks.m5", "--threads", "{threads}", "--goal", "0.97"),
            "m5_batch_32": ("benchmarks.m5", "--threads", "{threads}", "--goal", "0.97", "--batch", "32"),
        },
        needs="torch",
    ),
}


def run(
    name: str, *, backend: str, precision: str = "float32", repeats: int = 3, threads: int = 2, quick: bool = False
) -> list[dict[str, Any]]:
    """A row for each round and run.

    Args:
        name: of `RACES`.
        backend: of Keras.
        precision: of features, in ours; weights are float32, and the recipes' are as well.
        repeats: rounds.
        threads: processors for each run.
        quick: whether a few steps on a little data are enough, to see that everything runs.

    Raises:
        InputError: the data is not there, or a package that a recipe needs.
    """
    race = RACES[name]
    if not race.available():
        raise InputError(f"{name} needs data that is not here: name a folder with {race.file} as SUITE_DATA")
    if race.needs and importlib.util.find_spec(race.needs) is None:
        raise InputError(f"{name} needs the package {race.needs}: pip install -e '.[backends,parity]'")
    order = np.random.default_rng(0)
    compared = next(iter(race.recipes))
    rows = []
    for repeat in range(1 if quick else repeats):
        options: Any = {"backend": backend, "threads": threads, "seed": repeat, "quick": quick}
        found: dict[str, dict[str, float]] = {}
        goals = {goal.name: goal for goal in race.goals}
        for each in map(str, order.permutation([*race.recipes, *goals])):
            if each in goals:
                found[each] = ours(race, goals[each], precision=precision, **options)
            else:
                found[each] = recipe(race, each, **options)
        limit = found[compared]["seconds"]
        for each in (*race.recipes, *goals):
            goal = goals.get(each, Goal(each, (), race.worst, np.inf))
            row, ratio = found[each], found[each]["seconds"] / limit
            ok = bool(race.reached(row["score"], goal.score) and ratio <= goal.share)
            wanted = {"wanted_score": goal.score, "wanted_ratio": goal.share, "ok": ok}
            rows.append({"repeat": repeat, "peer": each, "metric": race.metric, **row, "ratio": ratio, **wanted})
    described = {"benchmark": name, "backend": backend, "precision": precision}
    return [{**described, **row, **machine("cpu", threads)} for row in rows]


RUNS = {name: functools.partial(run, name) for name in RACES}


def recipe(race: Race, name: str, *, backend: str, threads: int, seed: int, quick: bool) -> dict[str, float]:
    """What a recipe reaches: score, parameters, seconds on the clock and of all processors."""
    arguments = [each.format(threads=threads, text=_text()) for each in race.recipes[name]]
    arguments += ["--seed", str(seed), *(race.quick if quick else ())]
    text, cost = _timed(arguments, threads=threads, KERAS_BACKEND=backend)
    found = json.loads(text.splitlines()[-1])
    return {"score": found[race.metric], "parameters": found["parameters"], **cost}


def ours(
    race: Race, goal: Goal, *, backend: str, precision: str, threads: int, seed: int, quick: bool
) -> dict[str, float]:
    """What a configuration of ours reaches, as `recipe`."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["suite", "run", *race.arguments, *goal.arguments, "--seed", str(seed)]
        command += ["--precision", precision, "--device", "cpu"]
        command += ["--output", folder, "--leaderboard", str(Path(folder) / "board.csv")]
        command += ["--overlay", "smoke"] if quick else []
        _, cost = _timed(command, threads=threads, KERAS_BACKEND=backend)
        (path,) = Path(folder).glob("*/result.json")
        result = json.loads(path.read_text(encoding="utf8"))
    return {"score": result["scores"][race.metric], "parameters": result["params"], **cost}


def _timed(arguments: list[str], *, threads: int, **variables: str) -> tuple[str, dict[str, float]]:
    """What ``python -m ...`` prints, and its seconds."""
    before, began = _children(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "SUITE_CACHE": "", **variables},
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
