"""What the page shows of a board: all contests, then each of them, then all runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard import contests, standings
from leaderboard.plots import Plot, Row, slug
from leaderboard.report import contest, provenance
from leaderboard.report.cells import Cell, Heading, Table, count, figure, text
from leaderboard.report.contest import Section
from leaderboard.standings import Result

if TYPE_CHECKING:
    import pandas as pd

SAME = contests.SAME[:5]
"""What the runs of one contest share, whatever the metric."""

Key = tuple[object, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """All of the page. `styles` gives each model its number."""

    title: str
    about: Sequence[str]
    tasks: Sequence[str]
    contests: Table
    overall: Table | None
    overall_note: str
    sections: Sequence[Section]
    runs: Table
    runs_note: str
    styles: Mapping[str, int]


def build(
    board: pd.DataFrame,
    references: pd.DataFrame,
    *,
    output: Path,
    runs: Path | None,
    sources: Sequence[str],
    title: str,
) -> Page:
    """All that the page shows of a board. See `leaderboard.report.page`."""
    study = standings.study(board, runs=[runs] if runs else [])
    board, _ = contests.usable(board)
    others = _other_metrics(board)
    pairs: dict[Key, list[Row]] = {}
    for pair in contests.records(study.pairs):
        pairs.setdefault(tuple(pair[name] for name in contests.SAME), []).append(pair)
    published: dict[tuple[str, str], list[Row]] = {}
    for reference in contests.records(references):
        published.setdefault((reference["task"], reference["dataset"]), []).append(reference)

    sections, overview = [], []
    for name, each in _named(study.results):
        section = contest.section(
            name,
            each,
            pairs=pairs.get(each.contest.key, []),
            others=others.get(tuple(each.contest.key[: len(SAME)]), []),
            references=published.get((each.contest.task, each.contest.dataset), []),
            runs=runs,
        )
        sections.append(section)
        overview.append(_line(section, each))
    primary = contests.records(board[board["primary"].fillna(False)])
    note = "Links lead to a run's directory, where it lay when this page was made."
    if len(primary) > provenance.RUNS:
        note += f" The newest {provenance.RUNS:,} of {len(primary):,} are shown."
    return Page(
        title=title,
        about=[*_about(board, sources), *study.problems],
        tasks=sorted({section.task for section in sections}),
        contests=_contents(sections, overview),
        overall=_overall(study.overall),
        overall_note=study.overall_note,
        sections=sections,
        runs=provenance.table(primary, runs, output),
        runs_note=note,
        styles=styles(study.results),
    )


def styles(results: Sequence[Result]) -> dict[str, int]:
    """A number for each model, by which its colour and mark are the same everywhere."""
    entries = [entry for each in results for entry in each.contest.entries if entry.model not in contest.LEVELS]
    return {label: index for index, label in enumerate(sorted({entry.label for entry in entries}))}


def plots(results: Sequence[Result], *, runs: Path | None) -> list[tuple[str, str, list[Plot]]]:
    """A name for files, a heading, and the plots of each contest."""
    return [
        (name, f"{each.contest.task}: {each.contest.dataset}", contest.drawn(each, runs))
        for name, each in _named(results)
    ]


def _named(results: Sequence[Result]) -> list[tuple[str, Result]]:
    """The contests with a score, each with an id of its own."""
    taken: set[str] = set()
    named = []
    for each in results:
        if any(standing.mean is not None for standing in each.standings):
            found = each.contest
            name = stem = slug(f"{found.task} {found.dataset} {found.metric}") or "contest"
            number = 1
            while name in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name)
            named.append((name, each))
    return named


def _other_metrics(board: pd.DataFrame) -> dict[Key, list[Row]]:
    """For each contest's runs: metric, model, mean over seeds, number of seeds, and direction."""
    rows = board[~board["primary"].fillna(False) & (board["status"] == "ok").fillna(False) & board["value"].notna()]
    keys = [*SAME, "metric", "model"]
    means = rows.groupby(keys, sort=False, dropna=False, observed=True).agg(
        mean=("value", "mean"), seeds=("value", "size"), higher_is_better=("higher_is_better", "first")
    )
    found: dict[Key, list[Row]] = {}
    for row in contests.records(means.reset_index()):
        found.setdefault(tuple(row[name] for name in SAME), []).append(row)
    return found


def _about(board: pd.DataFrame, sources: Sequence[str]) -> list[str]:
    about = [f"{len(board):,} rows of {board['run_id'].nunique():,} runs"]
    if len(board):
        about[0] += f", the newest of {board['timestamp'].max()}"
    return [*about, f"From {', '.join(sources)}"] if sources else about


def _line(section: Section, result: Result) -> list[Cell]:
    models = [s for s in result.standings if s.mean is not None and s.entry.model not in contest.LEVELS]
    best = (
        [Cell(models[0].entry.label, model=models[0].entry.label), figure(models[0].mean)] if models else [Cell()] * 2
    )
    return [
        Cell(str(result.contest.dataset), link=f"#{section.id}"),
        text(section.task),
        text(result.contest.metric),
        count(len(models)),
        count(max((len(standing.entry.rows) for standing in models), default=None)),
        *best,
        count(sum(standing.rank == 1 for standing in models)),
        count(models[0].entry.rows[0]["n_examples"] if models else None),
    ]


def _overall(ranks: pd.DataFrame) -> Table | None:
    if ranks.empty:
        return None
    return Table(
        caption="mean rank of each model over common tasks",
        headings=[
            Heading("model"),
            Heading("mean rank", numeric=True),
            Heading("95 % interval", numeric=True, title="for other seeds and other test examples, and the same tasks"),
            Heading("tasks", numeric=True),
            Heading("contests", numeric=True),
        ],
        rows=[
            [
                Cell(str(row["model"]), model=str(row["model"])),
                Cell(f"{row['mean_rank']:.2f}", row["mean_rank"]),
                Cell(f"{row['low']:.2f} to {row['high']:.2f}", row["low"]),
                count(row["tasks"]),
                count(row["contests"]),
            ]
            for row in contests.records(ranks)
        ],
    )


def _contents(found: Sequence[Section], lines: Sequence[Sequence[Cell]]) -> Table:
    return Table(
        caption="all contests, each with the model of the best mean",
        headings=[
            Heading("dataset"),
            Heading("task"),
            Heading("metric"),
            Heading("models", numeric=True),
            Heading("seeds", numeric=True, title="the most seeds that a model was run with"),
            Heading("best mean"),
            Heading("score", numeric=True),
            Heading("not separated", numeric=True, title="models of the first rank: none is proven better than they"),
            Heading("examples", numeric=True, title="size of the scored split"),
        ],
        rows=lines,
        tasks=[section.task for section in found],
    )
