"""`python -m benchmarks.plots`: the pictures of docs/benchmarks.md, from the CSVs of benchmarks/results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.measure import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
CASES = {  # of a benchmark beside peers: the columns that tell its cases apart, and the least ratio that is wanted
    "encoder_block": ("batch length width masked dropout", 1.0),
    "train_step": ("batch length width depth", 1.1),
    "train_epoch": ("data", 1.5),
    "rnn_step": ("cell", 0.9),
    "decoding": ("batch prompt", 1.0),
    "beam": ("beam", 2.0),
}
UNITS = {"length": "positions", "batch": "examples in a batch", "depth": "blocks", "data": "times 4,000 texts"}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "benchmarks",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
}


def growth(table: pd.DataFrame) -> Figure:
    """Seconds and memory against length, batch, depth and data, with the slope of what grows linearly."""
    axes_of = list(dict.fromkeys(table["axis"]))
    figure = Figure(figsize=(3 * len(axes_of), 5.5), layout="constrained")
    grid = figure.subplots(2, len(axes_of), sharex="col", squeeze=False)
    for column, axis in enumerate(axes_of):
        part = table[table["axis"] == axis]
        for row, (cost, label) in enumerate((("seconds", "seconds"), ("peak_mib", "peak MiB"))):
            _curves(grid[row, column], part, cost, label)
        grid[1, column].set_xlabel(UNITS[axis])
    return figure


def _curves(place: Axes, part: pd.DataFrame, cost: str, label: str) -> None:
    for what, curve in part.groupby("what", sort=False):
        place.plot(curve["value"], curve[cost], marker="o", markersize=3, label=str(what))
    first, last = part["value"].min(), part["value"].max()
    start = part[cost].min()
    place.plot([first, last], [start, start * last / first], color="gray", linestyle=":", label="slope 1")
    place.set(xscale="log", yscale="log", ylabel=label)
    place.legend(fontsize=7)


def ratios(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """How many times as long as ours the peers take, case by case, with what is wanted of the fastest.

    Args:
        tables: of benchmarks in `CASES`, by the names of their files.
    """
    labels, places = [], []
    for name, table in tables.items():
        columns, wanted = CASES[table["benchmark"].iloc[0]]
        if "training" in table:
            table = table[table["training"]]
        if "padded_to" in table:
            table = table[table["padded_to"] != "maximum"]
        for case, part in table.groupby(columns.split(), sort=False):
            told = ", ".join(f"{key} {value}" for key, value in zip(columns.split(), case, strict=True))
            labels.append(f"{name}: {told}")
            places.append((part[part["peer"] != "suite"], wanted))
    figure = Figure(figsize=(9, 1 + 0.3 * len(labels)), layout="constrained")
    axes = figure.subplots()
    peers = dict.fromkeys(peer for part, _ in places for peer in part["peer"])
    for number, peer in enumerate(peers):
        points = [(x, y) for y, (part, _) in enumerate(places) for x in part.loc[part["peer"] == peer, "ratio"]]
        x, y = zip(*points, strict=True)
        axes.scatter(x, y, s=25, marker="os^vD<>P*X"[number % 10], label=peer, zorder=3)
    axes.scatter([wanted for _, wanted in places], range(len(places)), marker="|", s=150, color="black", label="wanted")
    axes.axvline(1, color="gray", linewidth=1)
    axes.set(xscale="log", xlabel="times as long as ours (above 1 ours is faster)", yticks=range(len(labels)))
    axes.set_yticklabels(labels, fontsize=7)
    axes.set_xticks([0.5, 1, 2, 4], labels=["0.5", "1", "2", "4"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.invert_yaxis()
    axes.legend(fontsize=7)
    return figure


def main() -> None:
    """Draw what there are figures for."""
    with mpl.rc_context(STYLE):
        for path in sorted(RESULTS.glob("growth-*.csv")):
            growth(pd.read_csv(path)).savefig(DOCS / f"{path.stem}.svg", metadata={"Date": None})
        found = {path.stem: path for name in CASES for path in sorted(RESULTS.glob(f"{name}-*.csv"))}
        tables = {stem: pd.read_csv(path) for stem, path in found.items()}
        ratios(tables).savefig(DOCS / "benchmarks.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
