"""What the page shows of a board: all contests, then each of them, then all runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard import contests
from leaderboard.contests import Contest
from leaderboard.plots import Plot, Row, slug
from leaderboard.report import contest, provenance
from leaderboard.report.cells import Cell, Heading, Table, count, figure, text
from leaderboard.report.contest import Section, Standing

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
    board, problems = contests.usable(board)
    found = contests.gather(board, runs=[runs] if runs else [])
    names = styles(found)
    others = _other_metrics(board)
    published: dict[tuple[str, str], list[Row]] = {}
    for reference in contests.records(references):
        published.setdefault((reference["task"], reference["dataset"]), []).append(reference)

    sections, overview = [], []
    for name, each in _named(found):
        standings = _standings(each)
        section = contest.section(
            name,
            each,
            standings,
            others=others.get(tuple(each.key[: len(SAME)]), []),
            references=published.get((each.task, each.dataset), []),
            runs=runs,
        )
        sections.append(section)
        overview.append(_line(section, each, standings))
    primary = contests.records(board[board["primary"].fillna(False)])
    note = "Links lead to a run's directory, where it lay when this page was made."
    if len(primary) > provenance.RUNS:
        note += f" The newest {provenance.RUNS:,} of {len(primary):,} are shown."
    return Page(
        title=title,
        about=[*_about(board, sources), *problems],
        tasks=sorted({section.task for section in sections}),
        contests=_contents(sections, overview),
        overall=None,
        overall_note="",
        sections=sections,
        runs=provenance.table(primary, runs, output),
        runs_note=note,
        styles=names,
    )


def styles(found: Sequence[Contest]) -> dict[str, int]:
    """A number for each model, by which its colour and mark are the same everywhere."""
    labels = {entry.label for each in found for entry in each.entries if entry.model not in contest.LEVELS}
    return {label: index for index, label in enumerate(sorted(labels))}


def plots(found: Sequence[Contest], *, runs: Path | None) -> list[tuple[str, str, list[Plot]]]:
    """A name for files, a heading, and the plots of each contest."""
    return [
        (name, f"{each.task}: {each.dataset}", contest.drawn(each, _standings(each), runs))
        for name, each in _named(found)
    ]


def _named(found: Sequence[Contest]) -> list[tuple[str, Contest]]:
    """The contests with a score, each with an id of its own."""
    taken: set[str] = set()
    named = []
    for each in found:
        if any(entry.complete for entry in each.entries):
            name = stem = slug(f"{each.task} {each.dataset} {each.metric}") or "contest"
            number = 1
            while name in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name)
            named.append((name, each))
    return named


def _standings(found: Contest) -> list[Standing]:
    """The models, the best first."""
    made = [
        Standing(model=entry.label, mean=float(entry.runs.scores.mean()), seeds=len(entry.rows))
        for entry in found.entries
        if entry.complete
    ]
    return sorted(made, key=lambda standing: standing.mean, reverse=bool(found.higher_is_better))


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


def _line(section: Section, found: Contest, standings: Sequence[Standing]) -> list[Cell]:
    entries = {entry.label: entry for entry in found.entries if entry.model not in contest.LEVELS}
    models = [standing for standing in standings if standing.model in entries]
    best = models[0] if models else None
    return [
        Cell(str(found.dataset), link=f"#{section.id}"),
        text(section.task),
        text(found.metric),
        count(len(models)),
        count(max((standing.seeds for standing in models), default=None)),
        Cell(best.model, model=best.model) if best else Cell(),
        figure(best.mean) if best else Cell(),
        count(entries[best.model].rows[0]["n_examples"]) if best else Cell(),
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
