"""The command line. Everything slow is imported where a command needs it, so that help and errors come at once.

Results go to standard output, progress and messages to standard error. Exit codes: 0 all is well, 1 a run failed or
diverged, 2 the command line, the configuration or the data are wrong, 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from suite import __version__
from suite.commands.board import board
from suite.commands.compare import compare
from suite.commands.evaluate import evaluate
from suite.commands.inspect import check, list_
from suite.commands.merge import merge
from suite.commands.predict import predict
from suite.commands.report import report
from suite.commands.run import run
from suite.commands.verify import verify

app = typer.Typer(
    help="Train Transformers beside RNN, CNN and classic baselines on one task, and keep a leaderboard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, predict, evaluate, board, compare, report, merge, verify):
    app.command()(command)
app.command("list")(list_)
app.command()(check)


def main() -> None:
    """Runs the command line."""
    app(prog_name="python -m suite")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
