"""The rows of tables as HTML. A large board has a hundred thousand cells, and a template takes five times as long."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

from leaderboard.report import svg
from leaderboard.report.cells import Cell, Table

WIDE, LONG = 26, 300
"""Characters beyond which a text is broken, and beyond which it is shortened until one points at it."""


def swatches(styles: Mapping[str, int]) -> dict[str, Markup]:
    """Each model's mark, as it stands before its name."""
    shape = Markup('<svg class="swatch {}" viewBox="-6 -6 12 12" aria-hidden="true"><path d="{}"/></svg>')
    return {model: shape.format(svg.style(style), svg.mark(style)) for model, style in styles.items()}


def rows(table: Table, marks: Mapping[str, Markup], *, apart: bool = False) -> Markup:
    """A table's rows, every text in them escaped.

    Args:
        table: the table.
        marks: from `swatches`.
        apart: its rows that take no part in sorting, instead of those that do.
    """
    classes = [' class="n"' if heading.numeric else "" for heading in table.headings]
    lines = []
    for number, cells in enumerate(table.apart if apart else table.rows):
        task = "" if apart or not table.tasks else table.tasks[number]
        lines.append(f'\n<tr data-task="{escape(task)}">' if task else "\n<tr>")
        lines.append(f'<th scope="row">{_content(cells[0], marks)}</th>')
        for cell, column in zip(cells[1:], classes[1:], strict=True):
            value = "" if cell.value is None else f' data-v="{cell.value}"'
            title = f' title="{escape(cell.title)}"' if cell.title else ""
            lines.append(f"<td{column}{value}{title}>{_content(cell, marks)}</td>")
        lines.append("</tr>")
    return Markup("".join(lines))


def _content(cell: Cell, marks: Mapping[str, Markup]) -> str:
    text = str(escape(cell.text))
    size = len(cell.text)
    if cell.link:
        wide = ' class="wrap"' if size > WIDE else ""
        text = f'<a href="{escape(cell.link)}"{wide}>{text}</a>'
    elif size > LONG:
        text = f'<span class="wrap long" tabindex="0">{text}</span>'
    elif size > WIDE:
        text = f'<span class="wrap">{text}</span>'
    return f"{marks[cell.model]}{text}" if cell.model in marks else text
