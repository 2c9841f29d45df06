"""`report`: the board as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.commands.failing import failing
from suite.commands.uncollected import uncollected


def report(
    boards: Annotated[
        list[Path] | None, typer.Argument(metavar="[CSV]...", help="Leaderboards. Default: leaderboard/results.csv.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The page to be written.")] = Path("report.html"),
    runs: Annotated[
        Path, typer.Option(help="The folder with the runs' directories, for learning curves and links.")
    ] = Path("runs"),
    plots: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder for each plot as PNG and as SVG.")] = None,
    title: Annotated[str, typer.Option(help="The page's heading.")] = "Leaderboard",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Write the leaderboard as one page of HTML that needs no network and no other file."""
    with failing(debug=debug), uncollected():
        from leaderboard import references
        from leaderboard import report as reporting
        from suite.errors import InputError
        from suite.files import write_atomically

        paths = boards or [Path("leaderboard/results.csv")]
        board = reporting.read(paths)
        if output.is_dir():
            raise InputError(f"{output} is a folder. Name the page, such as {output / 'report.html'}")
        page = reporting.page(
            board,
            references.load(),
            output=output,
            runs=runs if runs.is_dir() else None,
            sources=[path.name for path in paths],
            title=title,
        )
        write_atomically(output, page)
        typer.echo(f"{output}: {len(board):,} rows, {len(page.encode()) / 2**20:.1f} MiB")
        if plots is not None:
            files = reporting.plots(board, plots, runs=runs if runs.is_dir() else None)
            typer.echo(f"{plots}/: {len(files)} files")
