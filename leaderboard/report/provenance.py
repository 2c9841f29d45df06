"""Where each score comes from: a row for every run, with a link to its directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from leaderboard.plots import Row, run_directory
from leaderboard.report.cells import Cell, Heading, Table, count, figure, text

RUNS = 2000
"""The most runs that the page shows; of more, the newest."""

_HEADINGS = (
    Heading("run"),
    Heading("task"),
    Heading("dataset"),
    Heading("model"),
    Heading("seed", numeric=True),
    Heading("metric"),
    Heading("score", numeric=True),
    Heading("status"),
    Heading("probes passed", title="what the model was checked for before it trained"),
    Heading("selected on", title="the split that chose the checkpoint"),
    Heading("trials", numeric=True, title="settings tried for this model and dataset"),
    Heading("test scored", numeric=True, title="how often this configuration was scored on this test"),
    Heading("epochs", numeric=True),
    Heading("configuration", title="fingerprint of the resolved configuration"),
    Heading("data", title="fingerprint of all examples"),
    Heading("code", title="version and commit"),
    Heading("backend"),
    Heading("precision"),
    Heading("device"),
    Heading("libraries"),
    Heading("ended"),
    Heading("note"),
)


def table(rows: Sequence[Row], runs: Path | None, output: Path) -> Table:
    """A row for each run, the newest first.

    Args:
        rows: the board's rows of primary metrics, of any status.
        runs: the folder with the runs' directories.
        output: where the page will lie.
    """
    newest = sorted(rows, key=lambda row: row["timestamp"] or "", reverse=True)[:RUNS]
    return Table(
        caption="every run, its configuration, data, code and hardware",
        headings=_HEADINGS,
        rows=[_cells(row, runs, output) for row in newest],
        tasks=[str(row["task"]) for row in newest],
    )


def _cells(row: Row, runs: Path | None, output: Path) -> list[Cell]:
    return [
        Cell(str(row["run_id"]), link=link(runs, str(row["run_id"]), output)),
        text(row["task"]),
        text(row["dataset"]),
        Cell(str(row["model"]), model=str(row["model"])),
        count(row["seed"]),
        text(row["metric"]),
        figure(row["value"]),
        text(row["status"]),
        text(row["certificate"]),
        text(row["selected_on"]),
        count(row["trials"]),
        count(row["test_scored"]),
        count(row["epochs"]),
        text(row["config_hash"]),
        text(row["dataset_hash"]),
        text(row["suite_version"], row["git_commit"]),
        text(row["backend"]),
        text(row["precision"]),
        text(row["device"]),
        text(row["libraries"]),
        text(row["timestamp"]),
        text(row["note"]),
    ]


def link(runs: Path | None, run_id: str, output: Path) -> str:
    """The way from the page to the run's directory; empty where there is none."""
    directory = run_directory(runs, run_id) if runs is not None else None
    if directory is None:
        return ""
    try:
        relative = os.path.relpath(directory.absolute(), output.absolute().parent)
    except ValueError:  # another drive of Windows
        return f"{directory.absolute().as_uri()}/"
    return f"{quote('./' + Path(relative).as_posix())}/"
