"""One contest on the page: who stands where at what cost, what others reached, and how it looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from leaderboard import plots as drawings
from leaderboard import slices as parts
from leaderboard.contests import CEILING, FLOOR, SPEED, Contest, Entry
from leaderboard.plots import Plot, Row
from leaderboard.report.cells import Cell, Heading, Table, count, figure, text
from leaderboard.standings import Result, Standing

_COSTS = {
    "params": Heading("parameters", numeric=True),
    "flops_per_example": Heading("FLOPs an example", numeric=True, title="counted, of the forward pass"),
    "train_seconds": Heading("train s", numeric=True, title="without compilation"),
    "compile_seconds": Heading("compile s", numeric=True),
    "examples_per_second": Heading("examples/s", numeric=True, title="in training"),
    "tokens_per_second": Heading("tokens/s", numeric=True, title="in training"),
    "peak_memory_mb": Heading("memory MiB", numeric=True, title="the peak"),
}
PAIRS = 500
"""The most pairs that a contest shows: those of the best models, all of up to 32."""

LEVELS = (CEILING, FLOOR)
"""What no model can beat and what each should: lines across the plots, and apart from the ranks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """One contest: models that were scored by the same metric on the same data."""

    id: str
    task: str
    title: str
    about: str
    notes: Sequence[str]
    standings: Table
    differences: Table | None
    references: Table | None
    others: Table | None
    slices: Table | None
    plots: Sequence[Plot]
    models: Sequence[str]


def section(
    name: str,
    result: Result,
    *,
    pairs: Sequence[Row],
    others: Sequence[Row],
    references: Sequence[Row],
    runs: Path | None,
) -> Section:
    """All that the page shows of a contest.

    Args:
        name: its id on the page.
        result: the contest, judged.
        pairs: its rows of `leaderboard.standings.Study.pairs`.
        others: the same runs' other metrics: a row for each metric and model with mean and number of seeds.
        references: published figures on the same dataset.
        runs: the folder with the runs' directories.
    """
    contest, standings = result.contest, result.standings
    sizes = {row["n_examples"] for entry in contest.entries for row in entry.rows if row["n_examples"] is not None}
    plots = drawn(result, runs)
    marked = {series.name for plot in plots for series in plot.series}
    return Section(
        id=name,
        task=str(contest.task),
        title=f"{contest.task}: {contest.dataset}",
        about=(
            f"{contest.metric}, {'higher' if contest.higher_is_better else 'lower'} is better; split {contest.split}, "
            f"{' or '.join(f'{size:,}' for size in sorted(sizes)) or 'unknown'} examples; "
            f"task version {contest.task_version}, data {contest.dataset_hash}"
        ),
        notes=[_missing(standing.entry) for standing in standings if standing.mean is None],
        standings=_standings(result),
        differences=_differences(pairs),
        references=_references(references, str(contest.metric)),
        others=_others(others, contest, standings),
        slices=_slices(contest, standings, runs),
        plots=plots,
        models=[standing.entry.label for standing in standings if standing.entry.label in marked],
    )


def drawn(result: Result, runs: Path | None) -> list[Plot]:
    """A contest's plots."""
    known = [standing for standing in result.standings if standing.mean is not None]
    return drawings.of(
        {standing.entry.label: standing.entry.rows for standing in known if standing.entry.model not in LEVELS},
        metric=str(result.contest.metric),
        higher_is_better=bool(result.contest.higher_is_better),
        levels={s.entry.model: s.mean for s in known if s.entry.model in LEVELS and s.mean is not None},
        intervals={s.entry.label: (s.low, s.high) for s in known if s.low is not None and s.high is not None},
        runs=runs,
    )


def _missing(entry: Entry) -> str:
    seeds = ", ".join(f"seed {row['seed']} {row['status']}" for row in entry.rows if row["status"] != "ok")
    return f"{entry.label} has no mean: {seeds}"


def _standings(result: Result) -> Table:
    rows = [row for entry in result.contest.entries for row in entry.rows]
    shown = [column for column in _COSTS if any(row[column] is not None for row in rows)]
    lines: list[list[Cell]] = []
    apart: list[list[Cell]] = []
    for standing in result.standings:
        if standing.mean is not None:
            entry = standing.entry
            line = [
                Cell(entry.label, model=entry.label),
                count(standing.rank),
                text(standing.ties),
                figure(standing.mean),
                _interval(standing.low, standing.high),
                text(standing.certainty or "cannot tell" if entry.model != CEILING else ""),
                count(len(entry.rows)),
                *(_cost(entry, column) for column in shown),
                text(entry.told("device")),
                text(entry.told("precision")),
            ]
            (apart if entry.model in LEVELS else lines).append(line)
    return Table(
        caption=f"models on {result.contest.dataset}, the best first",
        headings=[
            Heading("model"),
            Heading("rank", numeric=True, title="1 and the number of models that are proven better"),
            Heading("ties", title="models that share a letter are not separated by their test"),
            Heading(str(result.contest.metric), numeric=True, title="mean over seeds"),
            Heading("95 % interval", numeric=True, title="of the mean"),
            Heading("it covers", title="what was free to vary: other seeds, other test examples"),
            Heading("seeds", numeric=True),
            *(_COSTS[column] for column in shown),
            Heading("device"),
            Heading("precision"),
        ],
        rows=lines,
        apart=apart,
    )


def _differences(pairs: Sequence[Row]) -> Table | None:
    """Each pair of models: how much they differ, and whether that is real."""
    if not pairs:
        return None
    verdicts = {None: "cannot tell", True: "real", False: "not proven"}
    return Table(
        caption=f"differences of models on {pairs[0]['dataset']}",
        headings=[
            Heading("pair"),
            Heading("difference", numeric=True),
            Heading("95 % interval", numeric=True, title="of this pair alone"),
            Heading("verdict", title="at 5 % for all pairs of the table together"),
            Heading("p", numeric=True, title="by Holm's correction"),
            Heading("test"),
            Heading("it covers", title="what was free to vary: other seeds, other test examples"),
            Heading("what would decide it"),
        ],
        rows=[
            [
                Cell(f"{row['first']} less {row['second']}"),
                figure(row["difference"]),
                _interval(row["low"], row["high"]),
                text(verdicts[row["real"]]),
                _probability(row["p_holm"]),
                text(row["test"] if row["real"] is not None else ""),
                text(row["certainty"]),
                text(row["advice"]),
            ]
            for row in pairs[:PAIRS]
        ],
    )


def _probability(p: float | None) -> Cell:
    return Cell("below 0.001", p) if p is not None and p < 0.001 else figure(p)


def _interval(low: float | None, high: float | None) -> Cell:
    if low is None or high is None or not low <= high:
        return Cell()
    return Cell(f"{figure(low).text} to {figure(high).text}", figure(low).value)


def _cost(entry: Entry, column: str) -> Cell:
    """A mean over seeds; none where a seed has no figure, or where times are of different hardware."""
    mean = entry.cost(column)
    if mean is None and column in SPEED and all(row[column] is not None for row in entry.rows):
        return Cell("mixed", title="the runs were on different hardware")
    return count(mean) if column == "params" else figure(mean)


def _references(found: Sequence[Row], metric: str) -> Table | None:
    """Published figures on the same data, those of this metric and of a full match first; none of them is ranked."""
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
            for row in sorted(found, key=lambda row: (row["metric"] != metric, order[row["protocol_match"]]))
        ],
    )


def _address(source: str) -> str:
    """The address in a source, if there is one."""
    return next((word.rstrip(",;") for word in source.split() if word.startswith("https://")), "")


def _others(found: Sequence[Row], contest: Contest, standings: Sequence[Standing]) -> Table | None:
    """The other metrics of a contest's runs: means over seeds, nothing where a seed is missing.

    A model that stands here with several configurations is left out: its rows of other metrics do not say which.
    """
    models = [each.entry.model for each in standings if each.mean is not None and each.entry.label == each.entry.model]
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
    models = [standing.entry.label for standing in standings if standing.entry.label in found[0].gaps]
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
