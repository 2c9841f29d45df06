"""Tables as plain data: cells of text with the number by which they sort. No HTML here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from leaderboard.plots import HUGE, number


class Cell(NamedTuple):
    """A cell.

    Args:
        text: what stands in it; escaping is the template's.
        value: the number by which it sorts; `None`: it sorts by its text.
        link: where it leads.
        model: the model whose mark stands before the text.
        title: an explanation that appears when one points at it.
    """

    text: str = ""
    value: float | None = None
    link: str = ""
    model: str = ""
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Heading:
    """A column's heading; `numeric` columns stand to the right, `title` explains."""

    text: str
    numeric: bool = False
    title: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table that sorts and filters.

    Args:
        caption: what it shows, for those who do not see it.
        headings: one a column.
        rows: the rows, each as long as `headings`; the first cell names the row.
        apart: rows that take no part in sorting and ranking, such as the ceiling.
        tasks: for each row the task by which the page filters; empty where all rows are of their section's.
    """

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    apart: Sequence[Sequence[Cell]] = ()
    tasks: Sequence[str] = ()


def figure(value: float | None) -> Cell:
    """A number's cell; empty where there is none."""
    return Cell() if value is None or value != value else Cell(number(value), _sorted_by(value))


def count(value: float | None) -> Cell:
    """A whole number's cell, thousands parted."""
    return Cell() if value is None or value != value else Cell(f"{value:,.0f}", _sorted_by(value))


def _sorted_by(value: float) -> float:
    return max(-HUGE, min(float(value), HUGE))


def text(*values: Any) -> Cell:
    """A cell of those values that there are, parted by blanks."""
    return Cell(" ".join([str(value) for value in values if value is not None and value != ""]))
