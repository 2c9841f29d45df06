"""The board as one page that needs nothing else: no network, no other file, no script to be read.

`page` makes the page, `plots` the plots' files. Every text from the data is escaped by Jinja, and a content security
policy lets nothing run or load but the page's own script.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from leaderboard import standings
from leaderboard.report import html, svg, view
from leaderboard.store import read_csv

if TYPE_CHECKING:
    import pandas as pd

    from leaderboard.plots import Plot

FOLDER = Path(__file__).parent
IDENTITY = ("task", "dataset_hash", "model")


def read(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Several boards as one; a row that stands in more than one of them counts once. Rows that contradict each other
    stay: the page names them and shows neither.

    Raises:
        InputError: as `leaderboard.read_csv`.
    """
    import pandas as pd

    board = pd.concat([read_csv(path) for path in paths], ignore_index=True)
    return board.drop_duplicates(["run_id", "metric", "status", "value", *IDENTITY], ignore_index=True)


def page(
    board: pd.DataFrame,
    references: pd.DataFrame,
    *,
    output: Path,
    runs: Path | None = None,
    sources: Sequence[str] = (),
    title: str = "Leaderboard",
) -> str:
    """The page as HTML.

    Args:
        board: what `leaderboard.read_csv` gave.
        references: what `leaderboard.references.load` gave.
        output: where the page will lie, from which links lead to the runs' directories.
        runs: the folder with the runs' directories; their histories are the learning curves.
        sources: the names of the board's files.
        title: the page's heading.
    """
    shown = view.build(board, references, output=output, runs=runs, sources=sources, title=title)
    css, js = ((FOLDER / f"page.{kind}").read_text("utf8") for kind in ("css", "js"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, auto_reload=False
    )
    return environment.get_template("page.html").render(
        page=shown,
        marks=html.swatches(shown.styles),
        rows=html.rows,
        draw=functools.partial(_draw, shown.styles),
        css=Markup(css),
        js=Markup(js),
        style_hash=_hash(css),
        script_hash=_hash(js),
    )


def plots(board: pd.DataFrame, folder: Path, *, runs: Path | None = None) -> list[Path]:
    """Writes the plots of all contests into a folder, each as PNG and as SVG, and returns their paths."""
    from leaderboard.report import images

    folder.mkdir(parents=True, exist_ok=True)
    results = standings.study(board, runs=[runs] if runs else []).results
    styles, paths = view.styles(results), []
    for name, heading, drawn in view.plots(results, runs=runs):
        for plot in drawn:
            paths += images.save(plot, folder / f"{name}-{plot.name}", styles, heading=heading)
    return paths


def _draw(styles: Mapping[str, int], plot: Plot, name: str) -> Markup:
    return Markup(svg.draw(plot, styles, name))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
