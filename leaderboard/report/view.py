"""What the page shows of a board: all contests, then each of them, then all runs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard import plots as drawings
from leaderboard.plots import LEVELS, Plot, Row, slug
from leaderboard.report import contest, provenance
from leaderboard.report.cells import Cell, Heading, Table, count, figure, text
from leaderboard.report.contest import Section, Standing

if TYPE_CHECKING:
    import pandas as pd

SAME = ("task", "dataset", "split", "task_version", "dataset_hash")
"""The columns that two runs share if their scores of one metric are to be compared."""

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
    primary = records(board[board["primary"].fillna(False)])
    others = _other_metrics(board)
    published: dict[tuple[str, str], list[Row]] = {}
    for reference in records(references):
        published.setdefault((reference["task"], reference["dataset"]), []).append(reference)

    sections, overview = [], []
    for name, found in _contests(primary):
        first = found[0]
        standings = _standings(found)
        section = contest.section(
            name,
            found,
            standings,
            others=others.get(tuple(first[column] for column in SAME), []),
            references=published.get((first["task"], first["dataset"]), []),
            runs=runs,
        )
        sections.append(section)
        overview.append(_line(section, found, standings))
    note = "Links lead to a run's directory, where it lay when this page was made."
    if len(primary) > provenance.RUNS:
        note += f" The newest {provenance.RUNS:,} of {len(primary):,} are shown."
    return Page(
        title=title,
        about=_about(board, sources),
        tasks=sorted({section.task for section in sections}),
        contests=_contents(sections, overview),
        overall=None,
        overall_note="",
        sections=sections,
        runs=provenance.table(primary, runs, output),
        runs_note=note,
        styles=styles(board),
    )


def records(table: pd.DataFrame) -> list[Row]:
    """The rows as dictionaries, with `None` for what is missing."""
    columns = [column.astype(object).where(column.notna(), None).tolist() for _, column in table.items()]
    return [dict(zip(table.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def styles(board: pd.DataFrame) -> dict[str, int]:
    """A number for each model, by which its colour and mark are the same everywhere."""
    models = sorted({str(model) for model in board["model"].dropna().unique()} - set(LEVELS))
    return {model: index for index, model in enumerate(models)}


def plots(board: pd.DataFrame, *, runs: Path | None) -> list[tuple[str, str, list[Plot]]]:
    """A name for files, a heading, and the plots of each contest."""
    primary = records(board[board["primary"].fillna(False)])
    return [
        (name, f"{rows[0]['task']}: {rows[0]['dataset']}", drawings.of(rows, {}, runs))
        for name, rows in _contests(primary)
    ]


def _contests(primary: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """An id and the rows of status ok of each contest, sorted by task and dataset."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in primary:
        if row["status"] == "ok" and row["value"] is not None:
            groups.setdefault(tuple(str(row[name]) for name in (*SAME, "metric")), []).append(row)
    taken: set[str] = set()
    found = []
    for key in sorted(groups):
        name = stem = slug(f"{key[0]} {key[1]} {key[-1]}") or "contest"
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        found.append((name, groups[key]))
    return found


def _standings(rows: Sequence[Row]) -> list[Standing]:
    """The models, the best first."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(str(row["model"]), []).append(row["value"])
    found = [Standing(model=model, mean=statistics.fmean(v), seeds=len(v)) for model, v in values.items()]
    return sorted(found, key=lambda standing: standing.mean, reverse=bool(rows[0]["higher_is_better"]))


def _other_metrics(board: pd.DataFrame) -> dict[Key, list[Row]]:
    """For each contest's runs: metric, model, mean over seeds, number of seeds, and direction."""
    rows = board[~board["primary"].fillna(False) & (board["status"] == "ok") & board["value"].notna()]
    keys = [*SAME, "metric", "model"]
    means = rows.groupby(keys, sort=False, dropna=False, observed=True).agg(
        mean=("value", "mean"), seeds=("value", "size"), higher_is_better=("higher_is_better", "first")
    )
    found: dict[Key, list[Row]] = {}
    for row in records(means.reset_index()):
        found.setdefault(tuple(row[name] for name in SAME), []).append(row)
    return found


def _about(board: pd.DataFrame, sources: Sequence[str]) -> list[str]:
    about = [f"{len(board):,} rows of {board['run_id'].nunique():,} runs"]
    if len(board):
        about[0] += f", the newest of {board['timestamp'].max()}"
    return [*about, f"From {', '.join(sources)}"] if sources else about


def _line(section: Section, rows: Sequence[Row], standings: Sequence[Standing]) -> list[Cell]:
    models = [standing for standing in standings if standing.model not in LEVELS]
    best = models[0] if models else None
    return [
        Cell(str(rows[0]["dataset"]), link=f"#{section.id}"),
        text(section.task),
        text(rows[0]["metric"]),
        count(len(models)),
        count(max((standing.seeds for standing in models), default=None)),
        Cell(best.model, model=best.model) if best else Cell(),
        figure(best.mean) if best else Cell(),
        count(rows[0]["n_examples"]),
    ]


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
            Heading("examples", numeric=True, title="size of the scored split"),
        ],
        rows=lines,
        tasks=[section.task for section in found],
    )
