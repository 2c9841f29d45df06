"""Tables as text: for a terminal, a pull request, a paper, a program."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any, Literal

Format = Literal["table", "csv", "markdown", "latex", "json"]

WIDEST = 40
"""Characters of a cell, beyond which its middle is left out; formats for programs keep all."""

_LINE = 400  # characters of a title or note

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


class Sheet:
    """A table with a title above and notes below.

    Args:
        title: what it shows.
        headings: of the columns.
        rows: cells as they are shown.
        notes: lines below it.
        words: how many columns, from the left, hold words; the others hold numbers.
    """

    def __init__(
        self,
        title: str,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        notes: Sequence[str] = (),
        words: int = 1,
    ):
        self.title, self.headings, self.rows, self.words = short(title, _LINE), headings, rows, words
        self.notes = [short(note, _LINE) for note in notes]


def number(value: Any, digits: int = 4) -> str:
    """A number as it is shown; nothing where it is missing.

    Example:

    >>> number(0.91237), number(1234567, 0), number(None)
    ('0.9124', '1,234,567', '')
    """
    missing = value is None or value != value or str(value) == "<NA>"
    return "" if missing else f"{value:,.{digits}f}"


def between(low: Any, high: Any, digits: int = 4) -> str:
    """An interval as it is shown."""
    return f"{number(low, digits)} to {number(high, digits)}" if number(low) and number(high) else ""


def table(sheet: Sheet) -> str:
    """For a terminal.

    Example:

    >>> print(table(Sheet("ages", ["name", "years"], [["Ann", "9"], ["Bob", "10"]], ["so far"])))
    ages
    name  years
    ----  -----
    Ann       9
    Bob      10
    so far
    """
    rows = [[short(cell) for cell in row] for row in [sheet.headings, *sheet.rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(sheet.headings))]
    rows.insert(1, ["-" * width for width in widths])
    lines = [
        "  ".join(
            cell.ljust(width) if i < sheet.words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([_plain(sheet.title), *lines, *map(_plain, sheet.notes)])


def markdown(sheet: Sheet) -> str:
    """For a pull request. Nothing in a cell is taken for markup.

    Example:

    >>> print(markdown(Sheet("ages", ["name", "years"], [["<b>|", "9"]])))
    **ages**
    <BLANKLINE>
    | name | years |
    |---|---:|
    | &lt;b&gt;\\| | 9 |
    """
    line = "|" + "".join("---|" if i < sheet.words else "---:|" for i in range(len(sheet.headings)))
    body = ["| " + " | ".join(_markdown(short(cell)) for cell in row) + " |" for row in [sheet.headings, *sheet.rows]]
    notes = ["", *(f"- {_markdown(note)}" for note in sheet.notes)] if sheet.notes else []
    return "\n".join([f"**{_markdown(sheet.title)}**", "", body[0], line, *body[1:], *notes])


def latex(sheet: Sheet) -> str:
    """For a paper; needs the package booktabs."""
    columns = "l" * sheet.words + "r" * (len(sheet.headings) - sheet.words)
    body = [" & ".join(_latex(short(cell)) for cell in row) + r" \\" for row in [sheet.headings, *sheet.rows]]
    notes = [f"% {_plain(note)}" for note in sheet.notes]
    return "\n".join(
        [
            f"% {_plain(sheet.title)}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            *notes,
        ]
    )


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys. Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def as_json(value: Any) -> str:
    """Plain JSON; what is missing or no number is null."""
    return json.dumps(_jsonable(value), indent=2, ensure_ascii=False, allow_nan=False)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if value is None or isinstance(value, bool | str):
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int) else None  # pandas has a missing value of its own


def _cell(value: Any) -> Any:
    value = _jsonable(value)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "'") else value


def _plain(text: str) -> str:
    """Text without characters that would do something to a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def short(text: str, widest: int = WIDEST) -> str:
    """Text for a terminal, the middle of long text left out."""
    text = _plain(text)
    return text if len(text) <= widest else f"{text[: widest // 2]}…{text[-(widest // 2 - 1) :]}"


def _markdown(text: str) -> str:
    for character, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, instead)
    return "".join(f"\\{character}" if character in "\\`*_[]|~#" else character for character in _plain(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
