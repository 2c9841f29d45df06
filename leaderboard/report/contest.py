"""One contest on the page: who stands where at what cost, what others reached, and how it looks."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from leaderboard import plots as drawings
from leaderboard.plots import LEVELS, Plot, Row
from leaderboard.report.cells import Cell, Heading, Table, count, figure, text

_COSTS = {
    "params": Heading("parameters", numeric=True),
    "flops_per_example": Heading("FLOPs an example", numeric=True, title="counted, of the forward pass"),
    "train_seconds": Heading("train s", numeric=True, title="without compilation"),
    "compile_seconds": Heading("compile s", numeric=True),
    "examples_per_second": Heading("examples/s", numeric=True, title="in training"),
    "tokens_per_second": Heading("tokens/s", numeric=True, title="in training"),
    "peak_memory_mb": Heading("memory MiB", numeric=True, title="the peak"),
}
_SPEEDS = {"train_seconds", "compile_seconds", "examples_per_second", "tokens_per_second"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """One model in a contest; `rank` is that of its tie group, `low` and `high` the interval of its mean."""

    model: str
    mean: float
    seeds: int
    rank: int | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """One contest: models that were scored by the same metric on the same data."""

    id: str
    task: str
    title: str
    about: str
    notes: Sequence[str]
    standings: Table
    references: Table | None
    others: Table | None
    slices: Sequence[Table]
    plots: Sequence[Plot]
    models: Sequence[str]


def section(
    name: str,
    rows: Sequence[Row],
    standings: Sequence[Standing],
    *,
    others: Sequence[Row],
    references: Sequence[Row],
    runs: Path | None,
) -> Section:
    """All that the page shows of a contest.

    Args:
        name: its id on the page.
        rows: its rows of status ok, one for each run.
        standings: its models, the best first.
        others: the same runs' other metrics: a row for each metric and model with mean and number of seeds.
        references: published figures on the same dataset.
        runs: the folder with the runs' directories.
    """
    first = rows[0]
    better = "higher is better" if first["higher_is_better"] else "lower is better"
    about = (
        f"{first['metric']}, {better}; split {first['split']}, "
        f"{count(first['n_examples']).text or 'unknown'} examples; "
        f"task version {first['task_version']}, data {first['dataset_hash']}"
    )
    intervals = {s.model: (s.low, s.high) for s in standings if s.low is not None and s.high is not None}
    plots = drawings.of(rows, intervals, runs)
    drawn = {series.name for plot in plots for series in plot.series}
    return Section(
        id=name,
        task=str(first["task"]),
        title=f"{first['task']}: {first['dataset']}",
        about=about,
        notes=[f"{standing.model}: {standing.note}" for standing in standings if standing.note],
        standings=_standings(rows, standings),
        references=_references(references),
        others=_others(others, rows, [standing.model for standing in standings]),
        slices=[],
        plots=plots,
        models=[standing.model for standing in standings if standing.model in drawn],
    )


def _standings(rows: Sequence[Row], standings: Sequence[Standing]) -> Table:
    first = rows[0]
    shown = [column for column in _COSTS if any(row[column] is not None for row in rows)]
    ranked = any(standing.rank is not None for standing in standings)
    spread = any(standing.low is not None for standing in standings)
    headings = [Heading("model")]
    headings += [Heading("rank", numeric=True, title="models that no test separates share a rank")] if ranked else []
    headings.append(Heading(str(first["metric"]), numeric=True, title="mean over seeds"))
    headings += [Heading("95 % interval", numeric=True, title="of the mean")] if spread else []
    headings += [Heading("seeds", numeric=True), *(_COSTS[column] for column in shown)]
    lines: dict[str, list[Cell]] = {}
    for standing in standings:
        mine = [row for row in rows if row["model"] == standing.model]
        line = [Cell(standing.model, model=standing.model)]
        line += [count(standing.rank)] if ranked else []
        line.append(figure(standing.mean))
        line += [_interval(standing)] if spread else []
        line += [count(standing.seeds), *(_cost(mine, column) for column in shown)]
        line += [_listed(mine, "device"), _listed(mine, "precision")]
        lines[standing.model] = line
    return Table(
        caption=f"models on {first['dataset']}, the best first",
        headings=[*headings, Heading("device"), Heading("precision")],
        rows=[line for model, line in lines.items() if model not in LEVELS],
        apart=[line for model, line in lines.items() if model in LEVELS],
    )


def _interval(standing: Standing) -> Cell:
    if standing.low is None or standing.high is None:
        return Cell()
    return Cell(f"{figure(standing.low).text} to {figure(standing.high).text}", standing.low)


def _cost(rows: Sequence[Row], column: str) -> Cell:
    """A mean over seeds; none where a seed has no figure, or where times are of different hardware."""
    values = [row[column] for row in rows]
    if not values or any(value is None or not math.isfinite(value) for value in values):
        return Cell()
    if column in _SPEEDS and len({row["device"] for row in rows}) > 1:
        return Cell("mixed", title="the runs were on different hardware")
    mean = sum(values) / len(values)
    return count(mean) if column == "params" else figure(mean)


def _listed(rows: Sequence[Row], column: str) -> Cell:
    return Cell(", ".join(sorted({str(row[column]) for row in rows if row[column]})))


def _references(found: Sequence[Row]) -> Table | None:
    """Published figures on the same data, those that compare first; none of them is ranked."""
    if not found:
        return None
    order = {"full": 0, "partial": 1, "none": 2}
    return Table(
        caption=f"published references on {found[0]['dataset']}",
        headings=[
            Heading("system"),
            Heading("metric"),
            Heading("score", numeric=True),
            Heading("protocol match", title="full, partial, or none: the figure is for orientation alone"),
            Heading("what differs"),
            Heading("source"),
            Heading("year", numeric=True),
        ],
        rows=[
            [
                text(row["system"]),
                text(row["metric"]),
                figure(row["value"]),
                Cell(row["protocol_match"], order[row["protocol_match"]]),
                text(row["reason"]),
                Cell(row["source"], link=_address(row["source"])),
                Cell(str(row["year"] or ""), row["year"]),
            ]
            for row in sorted(found, key=lambda row: order[row["protocol_match"]])
        ],
    )


def _address(source: str) -> str:
    """The address in a source, if there is one."""
    return next((word.rstrip(",;") for word in source.split() if word.startswith("https://")), "")


def _others(found: Sequence[Row], runs: Sequence[Row], order: Sequence[str]) -> Table | None:
    """The other metrics of a contest's runs: means over seeds, nothing where a seed is missing."""
    if not found:
        return None
    seeds = Counter(str(row["model"]) for row in runs)
    means = {(row["metric"], row["model"]): row["mean"] for row in found if row["seeds"] == seeds[row["model"]]}
    direction = {row["metric"]: row["higher_is_better"] for row in found}
    return Table(
        caption=f"other metrics on {runs[0]['dataset']}, means over seeds",
        headings=[Heading("metric"), *(Heading(model, numeric=True) for model in order)],
        rows=[
            [Cell(f"{metric} {'↑' if higher else '↓'}"), *(figure(means.get((metric, model))) for model in order)]
            for metric, higher in direction.items()
        ],
    )
