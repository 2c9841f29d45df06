"""Rows that may be compared: what cannot be used is left out and named, the rest is put together by contest and model.

A contest is one metric of one version of a task on one split of the same data. Its entries are models: the runs of one
configuration, one a seed.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaderboard import outcomes, paired, resampling
from leaderboard.plots import HUGE
from leaderboard.store import objects

if TYPE_CHECKING:
    import pandas as pd

SAME = ("task", "dataset", "task_version", "dataset_hash", "split", "metric", "higher_is_better")
"""What two rows share whose values may be compared."""

FLOOR, CEILING = "majority", "ceiling"
"""The models that show what is reached without looking at the input, and what could be reached."""

COST = (
    "params",
    "flops_per_example",
    "epochs",
    "train_seconds",
    "compile_seconds",
    "examples_per_second",
    "tokens_per_second",
    "peak_memory_mb",
)
SPEED = ("train_seconds", "compile_seconds", "examples_per_second", "tokens_per_second")
"""Costs that mean nothing across devices."""

_NAMED = 3  # runs that a message names

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model of a contest.

    Args:
        label: its name, with the configuration or the backend where the name alone is not enough.
        rows: the newest row of each seed, by seed.
        parts: each run's score in parts, where all runs' outcomes are known.
        weights: the contest's bootstrap draws, alike.
    """

    label: str
    rows: Sequence[Row]
    parts: Sequence[outcomes.Scores] = ()
    weights: np.ndarray | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.rows[0]["model"])

    @property
    def complete(self) -> bool:
        """Whether each seed has a score; there is no mean over holes."""
        return all(row["status"] == "ok" for row in self.rows)

    @cached_property
    def runs(self) -> resampling.Runs:
        """The scores as the statistics want them."""
        scores = np.array([row["value"] for row in self.rows], "float64")
        if not self.parts or self.weights is None:
            return resampling.Runs(scores)
        return resampling.Runs(scores, np.stack([part.drawn(self.weights) for part in self.parts], axis=1))

    @cached_property
    def moments(self) -> tuple[int, float, float]:
        """The number of runs, the mean and the variance of their scores."""
        values = [float(row["value"]) for row in self.rows]
        return len(values), statistics.fmean(values), statistics.variance(values)

    @cached_property
    def tossed(self) -> np.ndarray:
        """The sums of the first run for each toss of `leaderboard.paired.randomization`."""
        return paired.tossed(self.parts[0].parts)

    def cost(self, name: str) -> float | None:
        """The mean over seeds; `None` where a run has none, or for speeds on several devices."""
        values = [row[name] for row in self.rows]
        if None in values or (name in SPEED and len({row["device"] for row in self.rows}) > 1):
            return None
        return float(sum(values) / len(values))

    def told(self, name: str) -> str:
        """What the rows say in a column of text; all different ones."""
        return ", ".join(dict.fromkeys(str(row[name]) for row in self.rows if row[name]))


@dataclasses.dataclass(frozen=True)
class Contest:
    """Entries whose scores may be compared, in no order.

    Args:
        key: the values of `SAME`.
        entries: the models.
    """

    key: tuple[Any, ...]
    entries: Sequence[Entry]

    def __getattr__(self, name: str) -> Any:
        if name in SAME:
            return self.key[SAME.index(name)]
        raise AttributeError(name)

    @property
    def title(self) -> str:
        """The contest in words."""
        arrow = "↑" if self.higher_is_better else "↓"
        return f"{self.task} on {self.dataset}, {self.split}: {self.metric} {arrow}"


def usable(board: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows that can be used, each once, and what was wrong with the others.

    Left out are scores that are missing, not finite or so large that they mean nothing, and runs that hold two values
    for one metric, since nobody knows which is right.
    """
    problems = []
    ok = (board["status"] == "ok").fillna(False)
    sizes = np.abs(board["value"].to_numpy("float64", na_value=np.nan))
    finite = np.isfinite(sizes)
    for fault, found in (("no finite numbers", ~finite), (f"larger than {HUGE:g}", finite & (sizes > HUGE))):
        if (bad := ok & found).any():
            problems.append(f"{int(bad.sum())} scores are {fault} and were left out: {_named(board[bad])}")
    kept = ~ok | (sizes <= HUGE)
    board, ok = board[kept], ok[kept]
    identity = ["run_id", "metric", "status"]
    board = board.drop_duplicates([*identity, "value", "task", "dataset_hash", "model"])
    twice = board.duplicated(identity, keep=False) & ok.reindex(board.index)
    if twice.any():
        problems.append(f"runs that hold several values for one metric were left out: {_named(board[twice])}")
        board = board[~twice]
    return board, problems


def gather(
    board: pd.DataFrame,
    *,
    runs: Sequence[Path] = (),
    metric: str | None = None,
    by: Iterable[str] = (),
    ceiling: bool = True,
) -> list[Contest]:
    """The contests of usable rows, sorted by name.

    Args:
        board: from `usable`.
        runs: folders with the runs' directories.
        metric: the metric to look at; each task's primary one where none is named.
        by: further columns by which entries are told apart, such as ``backend``.
        ceiling: whether ceilings are entries.
    """
    wanted = board["primary"].fillna(False) if metric is None else board["metric"] == metric
    rows = records(board[wanted.to_numpy(bool)])
    contests: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if ceiling or row["model"] != CEILING:
            contests.setdefault(tuple(row[name] for name in SAME), []).append(row)
    return [
        Contest(key, _entries(found, runs, tuple(by)))
        for key, found in sorted(contests.items(), key=lambda item: [str(part) for part in item[0]])
    ]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries, `None` for what is missing."""
    columns = {name: objects(table[name]) for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _entries(rows: Sequence[Row], runs: Sequence[Path], by: tuple[str, ...]) -> list[Entry]:
    seeds: dict[tuple[Any, ...], dict[Any, Row]] = {}
    for row in rows:
        mine = seeds.setdefault((row["model"], row["config_hash"], *(row[name] for name in by)), {})
        if row["seed"] not in mine or _rank(row) > _rank(mine[row["seed"]]):
            mine[row["seed"]] = row
    configurations: dict[tuple[Any, ...], set[Any]] = {}
    for model, configuration, *more in seeds:
        configurations.setdefault((model, *more), set()).add(configuration)
    made = []
    for (model, configuration, *more), mine in seeds.items():
        several = len(configurations[model, *more]) > 1
        label = " ".join([str(model), *(str(each) for each in more), *([f"({configuration})"] if several else [])])
        made.append(Entry(label, [mine[seed] for seed in sorted(mine, key=lambda seed: (seed is None, seed))]))
    return _with_outcomes(made, runs) if runs else made


def _rank(row: Row) -> tuple[bool, str]:
    """Of several runs of one seed the newest that went well counts."""
    return row["status"] == "ok", row["timestamp"] or ""


def _with_outcomes(entries: Sequence[Entry], runs: Sequence[Path]) -> list[Entry]:
    parts: list[list[outcomes.Scores]] = []
    for entry in entries:
        found = []
        for row in entry.rows if entry.complete else ():
            told = outcomes.read(runs, str(row["run_id"]))
            score = told and outcomes.scores(str(row["metric"]), told, value=row["value"])
            if not score:
                break
            found.append(score)
        parts.append(found if len(found) == len(entry.rows) else [])
    sizes = [len(part.parts) for found in parts for part in found]
    if not sizes:
        return list(entries)
    examples = max(set(sizes), key=sizes.count)
    weights = resampling.draws(min(examples, resampling.BLOCKS))
    return [
        dataclasses.replace(entry, parts=found, weights=weights)
        if found and all(len(part.parts) == examples for part in found)
        else entry
        for entry, found in zip(entries, parts, strict=True)
    ]


def _named(rows: pd.DataFrame) -> str:
    pairs = list(dict.fromkeys(zip(rows["run_id"].astype(str), rows["metric"].astype(str), strict=True)))
    shown = ", ".join(f"run {run[:80]!r}, metric {metric[:80]!r}" for run, metric in pairs[:_NAMED])
    return shown + (f" and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else "")
