"""One contest on the page: who stands where at what cost, what others reached, and how it looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from leaderboard import plots as drawings
from leaderboard import slices as parts
from leaderboard.contests import CEILING, FLOOR, SPEED, Contest, Entry
from leaderboard.plots import Plot, Row
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
LEVELS = (CEILING, FLOOR)
"""What no model can beat and what each should: lines across the plots, and apart from the ranks."""


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
    slices: Table | None
    plots: Sequence[Plot]
    models: Sequence[str]


def section(
    name: str,
    contest: Contest,
    standings: Sequence[Standing],
    *,
    others: Sequence[Row],
    references: Sequence[Row],
    runs: Path | None,
) -> Section:
    """All that the page shows of a contest.

    Args:
        name: its id on the page.
        contest: its models and their runs.
        standings: the models with a mean, the best first.
        others: the same runs' other metrics: a row for each metric and model with mean and number of seeds.
        references: published figures on the same dataset.
        runs: the folder with the runs' directories.
    """
    entries = {entry.label: entry for entry in contest.entries}
    sizes = {row["n_examples"] for entry in contest.entries for row in entry.rows if row["n_examples"] is not None}
    plots = drawn(contest, standings, runs)
    marked = {series.name for plot in plots for series in plot.series}
    notes = [f"{standing.model}: {standing.note}" for standing in standings if standing.note]
    notes += [f"{entry.label}: no mean, for a seed has no score" for entry in entries.values() if not entry.complete]
    return Section(
        id=name,
        task=str(contest.task),
        title=f"{contest.task}: {contest.dataset}",
        about=(
            f"{contest.metric}, {'higher' if contest.higher_is_better else 'lower'} is better; split {contest.split}, "
            f"{' or '.join(f'{size:,}' for size in sorted(sizes)) or 'unknown'} examples; "
            f"task version {contest.task_version}, data {contest.dataset_hash}"
        ),
        notes=notes,
        standings=_standings(contest, entries, standings),
        references=_references(references),
        others=_others(others, contest, standings),
        slices=_slices(contest, standings, runs),
        plots=plots,
        models=[standing.model for standing in standings if standing.model in marked],
    )


def drawn(contest: Contest, standings: Sequence[Standing], runs: Path | None) -> list[Plot]:
    """A contest's plots."""
    complete = [entry for entry in contest.entries if entry.complete]
    return drawings.of(
        {entry.label: entry.rows for entry in complete if entry.model not in LEVELS},
        metric=str(contest.metric),
        higher_is_better=bool(contest.higher_is_better),
        levels={entry.model: float(entry.runs.scores.mean()) for entry in complete if entry.model in LEVELS},
        intervals={s.model: (s.low, s.high) for s in standings if s.low is not None and s.high is not None},
        runs=runs,
    )


def _standings(contest: Contest, entries: Mapping[str, Entry], standings: Sequence[Standing]) -> Table:
    rows = [row for entry in entries.values() for row in entry.rows]
    shown = [column for column in _COSTS if any(row[column] is not None for row in rows)]
    ranked = any(standing.rank is not None for standing in standings)
    spread = any(standing.low is not None for standing in standings)
    headings = [Heading("model")]
    headings += [Heading("rank", numeric=True, title="models that no test separates share a rank")] if ranked else []
    headings.append(Heading(str(contest.metric), numeric=True, title="mean over seeds"))
    headings += [Heading("95 % interval", numeric=True, title="of the mean")] if spread else []
    headings += [Heading("seeds", numeric=True), *(_COSTS[column] for column in shown)]
    lines: list[list[Cell]] = []
    apart: list[list[Cell]] = []
    for standing in standings:
        entry = entries[standing.model]
        line = [Cell(standing.model, model=standing.model)]
        line += [count(standing.rank)] if ranked else []
        line.append(figure(standing.mean))
        line += [_interval(standing)] if spread else []
        line += [count(standing.seeds), *(_cost(entry, column) for column in shown)]
        line += [text(entry.told("device")), text(entry.told("precision"))]
        (apart if entry.model in LEVELS else lines).append(line)
    return Table(
        caption=f"models on {contest.dataset}, the best first",
        headings=[*headings, Heading("device"), Heading("precision")],
        rows=lines,
        apart=apart,
    )


def _interval(standing: Standing) -> Cell:
    if standing.low is None or standing.high is None:
        return Cell()
    return Cell(f"{figure(standing.low).text} to {figure(standing.high).text}", standing.low)


def _cost(entry: Entry, column: str) -> Cell:
    """A mean over seeds; none where a seed has no figure, or where times are of different hardware."""
    mean = entry.cost(column)
    if mean is None and column in SPEED and all(row[column] is not None for row in entry.rows):
        return Cell("mixed", title="the runs were on different hardware")
    return count(mean) if column == "params" else figure(mean)


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


def _others(found: Sequence[Row], contest: Contest, standings: Sequence[Standing]) -> Table | None:
    """The other metrics of a contest's runs: means over seeds, nothing where a seed is missing.

    A model that stands here with several configurations is left out: its rows of other metrics do not say which.
    """
    models = [entry.model for s in standings for entry in contest.entries if entry.label == s.model == entry.model]
    if not found or not models:
        return None
    seeds = {entry.model: len(entry.rows) for entry in contest.entries}
    means = {
        (row["metric"], row["model"]): row["mean"] for row in found if row["seeds"] == seeds.get(str(row["model"]))
    }
    direction = {row["metric"]: row["higher_is_better"] for row in found}
    return Table(
        caption=f"other metrics on {contest.dataset}, means over seeds",
        headings=[Heading("metric"), *(Heading(model, numeric=True) for model in models)],
        rows=[
            [Cell(f"{metric} {'↑' if higher else '↓'}"), *(figure(means.get((metric, model))) for model in models)]
            for metric, higher in direction.items()
        ],
    )


def _slices(contest: Contest, standings: Sequence[Standing], runs: Path | None) -> Table | None:
    """The models on parts of the test set, each with its paired gap to the model that is best on the whole of it."""
    found = parts.of(contest, [runs]) if runs else []
    if not found:
        return None
    models = [standing.model for standing in standings if standing.model in found[0].gaps]
    return Table(
        caption=f"where models differ on {contest.dataset}",
        headings=[
            Heading("part of the test set"),
            Heading("examples", numeric=True),
            *(Heading(model, numeric=True, title="score, and the gap to the best model") for model in models),
        ],
        rows=[
            [Cell(f"{each.feature}: {each.part}"), count(each.examples), *(_gap(each.gaps[model]) for model in models)]
            for each in found
        ],
    )


def _gap(gap: parts.Gap) -> Cell:
    if not gap.low < gap.high:
        return figure(gap.score)
    return Cell(f"{gap.score:.4f} ({gap.behind:+.4f}; {gap.low:+.4f} to {gap.high:+.4f})", gap.score)
