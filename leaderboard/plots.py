"""What the plots of a board show: points, lines, axes and the same in words. Drawing them is another's work.

A plot is made of the rows of one contest: one task, dataset and metric. Scores are means over seeds, with the lowest
and the highest seed; what has no figure for an axis is left out and named. Times compare on the same hardware alone,
so each device has a plot of its own.
"""

from __future__ import annotations

import csv
import dataclasses
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

MODELS = 24
"""The most models of a plot; of more, the best are shown."""

SAID = 12
"""The most models whose figures are in the words of a plot."""

HUGE = 1e100
"""No score and no cost that means anything is as large."""

Row = Mapping[str, Any]
"""A row of the board, `None` for what it lacks."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A point, and how far up and down it reaches."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Series:
    """The points of one model; `joined` by a line in their order."""

    name: str
    points: tuple[Point, ...]
    joined: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot.

    Args:
        name: its kind, for names of files.
        title: one line.
        x, y: what the axes measure.
        series: what is drawn, one entry a model and, in learning curves, a run.
        log: whether x grows by factors.
        names: what stands at x = 0, 1, 2, ... instead of numbers.
        front: the points that no other beats on both axes, from left to right.
        levels: lines across, by name. Where they are far from all points they are said in words alone.
        text: all that a reader who sees nothing should know.
    """

    name: str
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    log: bool = False
    names: tuple[str, ...] = ()
    front: tuple[tuple[float, float], ...] = ()
    levels: Mapping[str, float] = dataclasses.field(default_factory=dict)
    text: str = ""


def of(
    models: Mapping[str, Sequence[Row]],
    *,
    metric: str,
    higher_is_better: bool,
    levels: Mapping[str, float] = MappingProxyType({}),
    intervals: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    runs: Path | None = None,
) -> list[Plot]:
    """All plots of one contest.

    Args:
        models: each model's rows, one for each seed, all with a score.
        metric: what the scores are.
        higher_is_better: its direction.
        levels: scores that are lines across, such as the best possible one.
        intervals: each model's interval of the mean, where it is known.
        runs: the folder with the runs' directories, for learning curves.
    """
    means = {model: statistics.fmean(row["value"] for row in rows) for model, rows in models.items() if _sane(rows)}
    best = sorted(means, key=lambda model: means[model], reverse=higher_is_better)[:MODELS]
    if not best:
        return []
    models = {model: models[model] for model in best}
    axis = _Axis("params", "parameters", f"{metric} against parameters", "params")
    plots = [_cost(models, metric, axis, levels, higher_is_better)]
    for device in sorted({str(row["device"] or "") for rows in models.values() for row in rows}):
        same = {model: [row for row in rows if str(row["device"] or "") == device] for model, rows in models.items()}
        title = f"{metric} against seconds of training, on {device or 'unknown hardware'}"
        axis = _Axis("train_seconds", "seconds of training", title, f"seconds-{slug(device) or 'unknown'}")
        there = {model: rows for model, rows in same.items() if rows}
        plots.append(_cost(there, metric, axis, levels, higher_is_better))
    plots.append(_spread(models, metric, intervals, levels))
    if runs is not None:
        plots.append(_curves(models, runs))
    return [plot for plot in plots if plot.series]


def _sane(rows: Sequence[Row]) -> bool:
    """Whether scores can be drawn at all."""
    return bool(rows) and all(row["value"] is not None and abs(row["value"]) < HUGE for row in rows)


class _Axis(NamedTuple):
    """A cost: its column, what the axis says, the plot's title and name."""

    column: str
    label: str
    title: str
    name: str


def front(points: Iterable[tuple[float, float]], *, higher_is_better: bool = True) -> list[tuple[float, float]]:
    """The points that no other beats: none is as far left and as good, or further left or better.

    Example:

    >>> front([(1, 0.5), (2, 0.4), (3, 0.9), (3, 0.8), (9, 0.9)])
    [(1, 0.5), (3, 0.9)]
    """
    sign = -1 if higher_is_better else 1
    found: list[tuple[float, float]] = []
    for x, y in sorted(set(points), key=lambda point: (point[0], sign * point[1])):
        if not found or sign * y < sign * found[-1][1]:
            found.append((x, y))
    return found


def _cost(
    models: Mapping[str, Sequence[Row]],
    metric: str,
    axis: _Axis,
    levels: Mapping[str, float],
    higher_is_better: bool,
) -> Plot:
    """Score against a cost; left and up is better, or left and down."""
    series, missing = [], []
    for model, rows in models.items():
        costs, values = [row[axis.column] for row in rows], [row["value"] for row in rows]
        cost = sum(costs) / len(costs) if None not in costs else 0.0  # of large ones fmean would refuse the sum
        if 1 / HUGE < cost < HUGE:
            series.append(Series(model, (Point(cost, statistics.fmean(values), min(values), max(values)),)))
        else:
            missing.append(model)
    best = front([(s.points[0].x, s.points[0].y) for s in series], higher_is_better=higher_is_better)
    on_front = [s.name for s in series if (s.points[0].x, s.points[0].y) in best]
    said = [f"{s.name}: {number(s.points[0].y)} at {number(s.points[0].x)}" for s in series]
    text = f"{_listed(said, '; ')}. None is both better and cheaper than {_listed(on_front)}."
    if missing:
        text += f" Without a figure: {_listed(missing)}."
    return Plot(
        name=axis.name,
        title=axis.title,
        x=axis.label,
        y=metric,
        series=tuple(series),
        log=True,
        front=tuple(best),
        levels=levels,
        text=f"{text}{_levels(levels)}",
    )


def _spread(
    models: Mapping[str, Sequence[Row]],
    metric: str,
    intervals: Mapping[str, tuple[float, float]],
    levels: Mapping[str, float],
) -> Plot:
    """Every seed's score, and the mean with its interval."""
    series, said = [], []
    for place, (model, rows) in enumerate(models.items()):
        values = [row["value"] for row in rows]
        low, high = intervals.get(model, (None, None))
        step = 0.2 / max(len(values) - 1, 1)  # side by side, so that equal ones are seen
        seeds = [Point(place - 0.3 + step * i, value) for i, value in enumerate(values)]
        series.append(Series(model, (Point(place + 0.12, statistics.fmean(values), low, high), *seeds)))
        between = f", interval {number(low)} to {number(high)}" if low is not None and high is not None else ""
        count = "one seed" if len(values) == 1 else f"{len(values)} seeds"
        said.append(f"{model}: {count} from {number(min(values))} to {number(max(values))}{between}")
    return Plot(
        name="seeds",
        title=f"{metric} of each seed, and the mean with its interval",
        x="",
        y=metric,
        series=tuple(series),
        names=tuple(models),
        levels=levels,
        text=f"{_listed(said, '; ')}.{_levels(levels)}",
    )


def _curves(models: Mapping[str, Sequence[Row]], runs: Path) -> Plot:
    """The score on validation after each epoch, a line for each run whose history is there."""
    series, said = [], []
    for model, rows in models.items():
        for row in rows:
            directory = run_directory(runs, str(row["run_id"]))
            points = _history(directory / "history.csv") if directory else []
            if points:
                series.append(Series(model, tuple(points), joined=True))
                first, last = number(points[0].y), number(points[-1].y)
                said.append(f"{model}, seed {row['seed']}: {first} to {last} after {points[-1].x:g} epochs")
    return Plot(
        name="curves",
        title="score on validation, epoch by epoch",
        x="epoch",
        y="score on validation",
        series=tuple(series),
        text=f"{_listed(said, '; ', 'runs')}.",
    )


def run_directory(runs: Path, run_id: str) -> Path | None:
    """The run's directory, if there is one; an id that is no plain name has none."""
    if not run_id or run_id in (".", "..") or re.search(r"[/\\\0]", run_id):
        return None
    try:
        return directory if (directory := runs / run_id).is_dir() else None
    except OSError:  # a name that the file system cannot hold
        return None


def _history(path: Path) -> list[Point]:
    points = []
    try:
        with path.open(encoding="utf8", newline="") as file:
            for row in csv.DictReader(file):
                x, y = float(row["epoch"]), float(row["score"])
                if abs(x) < HUGE and abs(y) < HUGE:  # false for NaN, too
                    points.append(Point(x, y))
    except (OSError, ValueError, KeyError, TypeError, csv.Error):  # not there, or not a run's history: no curve
        return []
    return points


def levels_within(plot: Plot) -> dict[str, float]:
    """The lines that are near enough to the points to be drawn: at most half the points' range away."""
    ys = [y for series in plot.series for point in series.points for y in (point.y, point.low, point.high)]
    known = [y for y in ys if y is not None]
    low, high = min(known), max(known)
    reach = (high - low) / 2
    return {name: value for name, value in plot.levels.items() if low - reach <= value <= high + reach}


def number(value: float) -> str:
    """A figure as a person reads it: four digits, thousands parted.

    Example:

    >>> [number(value) for value in (0.98765, 1.0, 37.6543, 284057.0, 0.000345, 0.0)]
    ['0.9877', '1.0000', '37.65', '284,057', '0.000345', '0']
    """
    size = abs(value)
    if size >= 1000 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.001 <= size < 10 else f"{value:.4g}"


def slug(text: str) -> str:
    """Text as a part of a file's name.

    Example:

    >>> slug("Intel(R) Xeon(R), 2 cores"), slug("../etc")
    ('intel-r-xeon-r-2-cores', 'etc')
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]


def _levels(levels: Mapping[str, float]) -> str:
    """The sentence on the lines across a plot."""
    return f" {', '.join(f'{name.capitalize()}: {number(value)}' for name, value in levels.items())}." if levels else ""


def _listed(names: Sequence[str], comma: str = ", ", what: str = "models") -> str:
    more = f" and {len(names) - SAID} more {what}" if len(names) > SAID else ""
    return comma.join(names[:SAID]) + more
