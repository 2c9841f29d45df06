"""A plot as inline SVG for the page: text stays text, colours come from the page's style sheet, also in the dark.

It takes microseconds where a plotting library takes a second to start, and the page has dozens of plots. The files of
`--plots` are `leaderboard.report.images`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from leaderboard.plots import Plot, Series, levels_within, number

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 20, 26, 46
NAMES = 84
"""The height below the axis where names stand there, slanting."""

COLORS, MARKS = 8, 5  # without a common divisor, so that forty models differ in one or the other
PATHS = (
    "m-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",  # circle
    "m-3.6,-3.6h7.2v7.2h-7.2z",  # square
    "m0,-4.8l4.6,8.2h-9.2z",  # triangle
    "m0,-5.2l5.2,5.2l-5.2,5.2l-5.2,-5.2z",  # diamond
    "m0,4.8l4.6,-8.2h-9.2z",  # triangle that stands on its tip
)
"""The marks, around their middle."""

Scale = Callable[[float], float]


class Ticks(NamedTuple):
    """Where an axis has its ticks, and what stands there."""

    places: Sequence[float]
    names: Sequence[str]


def draw(plot: Plot, styles: Mapping[str, int], name: str) -> str:
    """The plot as an `<svg>` element.

    Args:
        plot: what to draw.
        styles: model -> its number, which is its colour and its mark.
        name: the id of the page's element with the plot's title; `<name>-words` is that of what it shows in words.
    """
    bottom = HEIGHT - (NAMES if plot.names else BOTTOM)
    points = [point for series in plot.series for point in series.points]
    ys = [y for p in points for y in (p.y, p.low, p.high) if y is not None]
    levels = levels_within(plot)
    low, high = _padded(min([*ys, *levels.values()]), max([*ys, *levels.values()]))
    y = _linear(low, high, bottom, TOP)
    xs = [point.x for point in points]
    if plot.names:
        x, ticks = _linear(-0.6, len(plot.names) - 0.4, LEFT, WIDTH - RIGHT), Ticks(range(len(plot.names)), plot.names)
    elif plot.log:
        left, right = _padded(math.log10(min(xs)), math.log10(max(xs)))
        logarithm = _linear(left, right, LEFT, WIDTH - RIGHT)
        x, ticks = (lambda value: logarithm(math.log10(value))), powers(10**left, 10**right)
    else:
        left, right = _padded(min(xs), max(xs))
        x, ticks = _linear(left, right, LEFT, WIDTH - RIGHT), _round(left, right)

    said = {"role": "img", "aria-labelledby": name, "aria-describedby": f"{name}-words"}
    svg = ET.Element("svg", {"class": "plot", "viewBox": f"0 0 {WIDTH} {HEIGHT}", **said})
    _axes(svg, plot, ticks, x, _round(low, high), y, bottom)
    for level, value in levels.items():
        _line(svg, "level", LEFT, y(value), WIDTH - RIGHT, y(value))
        _text(svg, "note", LEFT + 4, y(value) - 4, level, anchor="start")
    if plot.front:
        steps = [f"M{_n(x(plot.front[0][0]))},{_n(y(plot.front[0][1]))}"]
        steps += [f"H{_n(x(a))}V{_n(y(b))}" for a, b in plot.front[1:]]
        ET.SubElement(svg, "path", {"class": "front", "d": "".join(steps) + f"H{WIDTH - RIGHT}"})
    for series in plot.series:
        _series(svg, series, styles.get(series.name, 0), x, y)
    return ET.tostring(svg, encoding="unicode")


def style(index: int) -> str:
    """The class that gives a model its colour."""
    return f"c{index % COLORS}"


def mark(index: int) -> str:
    """The path of a model's mark, around the origin."""
    return f"M0,0{PATHS[index % MARKS]}"


def _axes(svg: ET.Element, plot: Plot, xs: Ticks, x: Scale, ys: Ticks, y: Scale, bottom: float) -> None:
    for place, name in zip(ys.places, ys.names, strict=True):
        _line(svg, "grid", LEFT, y(place), WIDTH - RIGHT, y(place))
        _text(svg, "tick", LEFT - 7, y(place) + 4, name, anchor="end")
    for place, name in zip(xs.places, xs.names, strict=True):
        _line(svg, "grid", x(place), TOP, x(place), bottom)
        if plot.names:
            text = _text(svg, "tick", 0, 0, name if len(name) <= 16 else f"{name[:15]}…", anchor="end")
            text.set("transform", f"translate({_n(x(place) + 4)},{_n(bottom + 14)})rotate(-35)")
        else:
            _text(svg, "tick", x(place), bottom + 17, name, anchor="middle")
    _text(svg, "label", 4, 15, _short(plot.y, 40), anchor="start")
    _text(svg, "label", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, _short(plot.x, 70), anchor="middle")


def _series(svg: ET.Element, series: Series, index: int, x: Scale, y: Scale) -> None:
    group = ET.SubElement(svg, "g", {"class": style(index)})
    ET.SubElement(group, "title").text = _short(series.name, 200)
    if series.joined:
        path = "L".join(f"{_n(x(point.x))},{_n(y(point.y))}" for point in series.points)
        ET.SubElement(group, "path", {"class": "curve", "d": f"M{path}"})
    shown = series.points[-1:] if series.joined else series.points
    for place, point in enumerate(shown):
        if point.low is not None and point.high is not None and point.high > point.low:
            _line(group, "bar", x(point.x), y(point.low), x(point.x), y(point.high))
        kind = "mark" if place == 0 else "mark small"
        where = f"M{_n(x(point.x))},{_n(y(point.y))}{PATHS[index % MARKS]}"
        element = ET.SubElement(group, "path", {"class": kind, "d": where})
        ET.SubElement(element, "title").text = f"{_short(series.name, 200)}: {number(point.y)}"


def _line(parent: ET.Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
    ends = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)}
    ET.SubElement(parent, "line", {"class": kind, **ends})


def _text(parent: ET.Element, kind: str, x: float, y: float, text: str, *, anchor: str) -> ET.Element:
    element = ET.SubElement(parent, "text", {"class": kind, "x": _n(x), "y": _n(y), "text-anchor": anchor})
    element.text = text
    return element


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _padded(low: float, high: float) -> tuple[float, float]:
    """The range with room at both ends, and some room where it is a single value."""
    room = (high - low) * 0.06 if high - low > 1e-9 * max(abs(low), abs(high), 1e-9) else abs(high) * 0.05 or 0.5
    return low - room, high + room


def _round(low: float, high: float) -> Ticks:
    """About five ticks at round numbers."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    places = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return Ticks(places, [f"{place:,.{digits}f}" if digits < 7 else f"{place:.3g}" for place in places])


def powers(low: float, high: float) -> Ticks:
    """Ticks of an axis that grows by factors: powers of ten, at most seven; round numbers where there are few."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if last - first < 1:
        places = [place for place in _round(low, high).places if place > 0]
    elif last - first < 3:
        places = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    else:
        places = [10.0**power for power in range(first, last + 1, 1 + (last - first) // 7)]
    places = [place for place in places if low <= place <= high]
    return Ticks(places, [_si(place) for place in places])


def _si(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
