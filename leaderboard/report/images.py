"""Plots as files, PNG and SVG, by Matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.plots import Plot, Series, levels_within
from leaderboard.report.svg import powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072b2", "#d55e00", "#009e73", "#aa3377", "#b8860b", "#6f43c0", "#4aa3df", "#666666")
MARKS = "os^Dv"


def save(plot: Plot, stem: Path, styles: Mapping[str, int], *, heading: str) -> list[Path]:
    """Writes `<stem>.png` and `<stem>.svg` and returns their paths. Needs no screen.

    Args:
        plot: what to draw.
        stem: the files' path without its ending; its folder is there.
        styles: model -> its number, which is its colour and its mark.
        heading: what the plot is of; its title's first line.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    options: Any = {"svg.fonttype": "none", "svg.hashsalt": plot.title, "text.parse_math": False, "font.size": 10}
    with rc_context(options), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a name's rarer letters; they are drawn as boxes
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw(axes, plot, styles)
        axes.set_title(f"{_short(heading, 60)}\n{_short(plot.title, 90)}", loc="left", fontsize=10)
        paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
        figure.savefig(paths[0], dpi=150, metadata={"Description": plot.text[:2000], "Software": None})
        figure.savefig(paths[1], metadata={"Description": plot.text, "Date": None})
    return paths


def _draw(axes: Axes, plot: Plot, styles: Mapping[str, int]) -> None:
    axes.set_xlabel(_short(plot.x, 80))
    axes.set_ylabel(_short(plot.y, 40))
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    if plot.log:
        axes.set_xscale("log")
    if plot.names:
        names = [_short(name, 24) for name in plot.names]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    for level, value in levels_within(plot).items():
        axes.axhline(value, color="#888888", linestyle=":")
        axes.annotate(level, (0, value), xycoords=("axes fraction", "data"), fontsize=8, color="#666666", va="bottom")
    if plot.front:
        xs, ys = zip(*plot.front, strict=True)
        axes.step(xs, ys, where="post", color="#888888", linewidth=1, label="none is better and cheaper")
    named: set[str] = set()
    for series in plot.series:
        _series(axes, series, styles.get(series.name, 0), named=series.name in named)
        named.add(series.name)
    if plot.log:
        ticks = powers(*axes.get_xlim())
        axes.set_xticks(ticks.places, ticks.names)
        axes.minorticks_off()
    if not plot.names:
        axes.legend(fontsize=8, loc="best")


def _series(axes: Axes, series: Series, index: int, *, named: bool) -> None:
    color, mark = COLORS[index % len(COLORS)], MARKS[index % len(MARKS)]
    label = "_nolegend_" if named else f" {_short(series.name, 32)}"  # it hides labels that begin with _
    xs, ys = [p.x for p in series.points], [p.y for p in series.points]
    if series.joined:
        axes.plot(xs, ys, color=color, linewidth=1.2, marker=mark, markevery=[-1], markersize=5, label=label)
        return
    axes.scatter(xs[:1], ys[:1], color=color, marker=mark, s=42, label=label, zorder=3)
    axes.scatter(xs[1:], ys[1:], facecolors="none", edgecolors=color, marker=mark, s=26, zorder=3)
    for p in series.points:
        if p.low is not None and p.high is not None:
            axes.vlines(p.x, p.low, p.high, color=color, linewidth=1.2)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
