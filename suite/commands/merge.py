"""`merge`: several people's boards as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.commands.failing import failing


def merge(
    boards: Annotated[list[Path], typer.Argument(metavar="CSV...", help="Two or more leaderboards.")],
    output: Annotated[Path, typer.Option(help="The new leaderboard.")],
    keep_first: Annotated[
        bool, typer.Option("--keep-first", help="Where boards say different things of a run, believe the first.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Put leaderboards together: each row once, columns of others kept. Refused where they contradict each other."""
    with failing(debug=debug):
        import leaderboard
        from leaderboard.store import write_csv
        from suite.errors import InputError

        tables = [leaderboard.read_csv(path) for path in boards]
        merged = leaderboard.merge(tables)
        conflicts = merged.attrs["conflicts"]
        if conflicts and not keep_first:
            listing = "\n".join(f"  {conflict}" for conflict in conflicts)
            raise InputError(
                f"the boards contradict each other:\n{listing}\n--keep-first believes the board that is named first"
            )
        write_csv(output, merged)
        for conflict in conflicts:
            typer.echo(f"warning: kept the first of {conflict}", err=True)
        typer.echo(f"{output}: {len(merged):,} rows of {sum(map(len, tables)):,} in {len(tables)} boards")
