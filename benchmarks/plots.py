"""`python -m benchmarks.plots`: the pictures of docs/benchmarks.md, from the CSVs of benchmarks/results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measure import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
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
    place.plot([first, last], [start, start * last / first], color="gray", linestyle=":", label="linear")
    place.set(xscale="log", yscale="log", ylabel=label)
    place.legend(fontsize=7)


def main() -> None:
    """Draw what there are figures for."""
    with mpl.rc_context(STYLE):
        for path in sorted(RESULTS.glob("growth-*.csv")):
            growth(pd.read_csv(path)).savefig(DOCS / f"{path.stem}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
