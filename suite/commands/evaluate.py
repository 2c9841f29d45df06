"""`evaluate`: scores a trained model on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from suite.commands.failing import failing


def evaluate(
    run_dir: Annotated[
        Path, typer.Argument(help="A finished run's directory. Load none whose origin you do not trust.")
    ],
    dataset: Annotated[str | None, typer.Option(help="A dataset's name or file; its test split is scored.")] = None,
    test: Annotated[Path | None, typer.Option(help="Your own test file.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the dataset's files are. Default: SUITE_DATA, then a download.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out what cannot be used in your file, and count it.")
    ] = False,
    leaderboard: Annotated[Path, typer.Option(help="The CSV file to which the row is added.")] = Path(
        "leaderboard/results.csv"
    ),
    output: Annotated[Path, typer.Option(help="The folder in which the outcomes get a directory.")] = Path("runs"),
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="auto: a GPU where there is one.")] = "auto",
    quantize: Annotated[
        Literal["int8"] | None, typer.Option(help="Compute with weights and features of eight bits.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Score a trained model on other data, as a row of its own on the leaderboard."""
    with failing(debug=debug):
        import leaderboard as board
        from suite import report, trained
        from suite.console import reporter

        model = trained.load(run_dir, device=device, quantize=quantize)
        splits = trained.test_data(model, dataset=dataset, test=test, data_dir=data_dir, skip_bad=skip_bad)
        for note in splits.notes:
            reporter().say(f"note: {note}")
        board.check(leaderboard)
        result = trained.evaluate(model, splits, output=output)
        rows = board.append(leaderboard, board.rows(result))
        files = [f"{leaderboard}: {rows} rows added", f"{output / result.run_id}/"]
        if as_json:
            report.show_json([result], files=files)
        else:
            report.show([result], None, files=files)
