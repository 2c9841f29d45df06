"""`verify`: runs a run again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from suite.commands.failing import failing


def verify(
    run: Annotated[
        str, typer.Argument(help="A finished run's directory, or its id. Verify none that you do not trust.")
    ],
    output: Annotated[Path, typer.Option(help="Where runs are, and where the new one gets a directory.")] = Path(
        "runs"
    ),
    leaderboard: Annotated[
        Path, typer.Option(help="The CSV file with other seeds, which say how much seeds differ.")
    ] = Path("leaderboard/results.csv"),
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="auto: a GPU where there is one.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Run a run again from its saved configuration and data: identical, within noise, or different, and what changed.

    Exit code 1 where the result is different. No row is added to the leaderboard.
    """
    with failing(debug=debug):
        from suite import trained
        from suite import verify as verifying
        from suite.console import reporter

        path = verifying.find_run(run, output)
        _, result, _ = trained.read_run(path)
        seeds = verifying.other_seeds(leaderboard, result)
        with reporter(quiet=quiet) as shown:
            verdict = verifying.verify(path, output=output, seeds=seeds, device=device, reporter=shown)
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(verdict), indent=2, ensure_ascii=False))
        else:
            typer.echo(f"{verdict.kind}: {verdict.metric} {verdict.after!r}, was {verdict.before!r}")
            typer.echo(verdict.why)
            for line in verdict.changed or ("nothing else changed",):
                typer.echo(f"- {line}")
        if verdict.kind == "different":
            raise typer.Exit(1)
