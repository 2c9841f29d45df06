"""The command line. Everything slow is imported where a command needs it, so that help and errors come at once.

Results go to standard output, progress and messages to standard error. Exit codes: 0 all is well, 1 a run failed or
diverged, 2 the command line, the configuration or the data are wrong, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from suite import __version__
from suite.errors import InputError, RunError

if TYPE_CHECKING:
    from suite.backend import Backend
    from suite.config import RunConfig
    from suite.console import Reporter
    from suite.runner import Prepared
    from suite.task import Result

app = typer.Typer(
    help="Train Transformers beside RNN, CNN and classic baselines on one task, and keep a leaderboard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


@app.command()
def run(
    task: Annotated[str, typer.Option(help="A task's name, or a file that ends in TASK = Task(...).")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model's name or file; repeatable. Default: all families.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset's name or file. Default: embedded data.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the dataset's files are. Default: SUITE_DATA, then a download.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Your own training file.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Your own validation file. Default: cut from train.")] = None,
    test: Annotated[Path | None, typer.Option(help="Your own test file. Default: cut from train.")] = None,
    seed: Annotated[int, typer.Option(help="The first seed.", min=0)] = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds to run, counted up from the first.", min=1)] = 1,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data, at most.", min=1)] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most so many examples of each split, for a quick look.", min=1)
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop the training of each model after so many minutes.")
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16", "auto"] | None,
        typer.Option(help="Of the computation; weights are float32. auto: bfloat16 on a GPU, float32 elsewhere."),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "gpu"] | None, typer.Option(help="auto: a GPU where there is one.")
    ] = None,
    overlay: Annotated[
        list[str] | None, typer.Option(help="An overlay of the configuration, such as smoke; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any configuration key, such as train.epochs=3; repeatable."),
    ] = None,
    leaderboard: Annotated[Path, typer.Option(help="The CSV file to which rows are added.")] = Path(
        "leaderboard/results.csv"
    ),
    output: Annotated[Path, typer.Option(help="The folder in which each run gets a directory.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue interrupted runs of the same configuration; keep finished ones.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the configuration and the models' layers, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no remarks.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train models on one task and the same data, and add their scores to the leaderboard."""
    with _errors(debug=debug):
        from suite import config as configuration
        from suite import runner
        from suite.console import reporter as choose_reporter

        wanted = configuration.wanted(
            task,
            # a dataset's overlay is not for the user's own files
            dataset=dataset or (train.name if train else None),
            models=model or (),
            overlays=overlay or (),
            flags={
                "train.epochs": epochs,
                "train.max_minutes": max_minutes,
                "data.limit": limit,
                "precision": precision,
                "device": device,
            },
            sets=set_ or (),
        )
        configs = configuration.resolve(wanted, seeds=range(seed, seed + seeds))
        if not dry_run:
            import leaderboard as board

            board.check(leaderboard)
        files = {"train": train, "validation": validation, "test": test}
        prepared = runner.prepare(wanted, configs[0], data_dir=data_dir, files=files, named=bool(dataset))
        reporter = choose_reporter(quiet=quiet)
        for note in prepared.splits.notes:
            reporter.say(f"note: {note}")
        backend = _prepare_backend(configs, prepared, reporter)
        if dry_run:
            from suite import report

            report.show_plan(configs, prepared, as_json=as_json)
            return
        settings = Settings(leaderboard, output, resume=resume, as_json=as_json, quiet=quiet, debug=debug)
        _run_all(configs, prepared, backend, reporter, settings)


class Settings(NamedTuple):
    """Where results go and how they are shown."""

    leaderboard: Path
    output: Path
    resume: bool
    as_json: bool
    quiet: bool
    debug: bool


def _prepare_backend(configs: list[RunConfig], prepared: Prepared, reporter: Reporter) -> Backend | None:
    """Loads the framework where a model needs one, and tells what encoding its inputs left out."""
    neural = [config for config in configs if config.model not in prepared.task.baselines]
    if not neural:
        return None
    from suite import backend, find

    chosen = backend.prepare(device=neural[0].device, precision=neural[0].precision)
    for config in neural:  # a layer of the user's own that cannot be used is told before anything trains
        find.architecture(config.model).encoder(config.architecture)
    for split in ("train", "validation", "test"):
        for note in getattr(prepared, split).notes:
            reporter.say(f"note: {split}: {note}")
    return chosen


def _run_all(
    configs: list[RunConfig], prepared: Prepared, backend: Backend | None, reporter: Reporter, settings: Settings
) -> None:
    """Runs everything, adds each result to the board as soon as it is there, and shows what was reached."""
    import leaderboard
    from suite import report, runner
    from suite.records import Directory

    def directory(config: RunConfig) -> Directory:
        found = Directory.latest(settings.output, config, prepared) if settings.resume else None
        return found or Directory.new(settings.output, config, prepared)

    def on_error(error: Exception) -> None:
        if settings.debug:
            traceback.print_exception(error)

    best_possible = runner.ceiling(prepared, configs[0])
    results: list[Result] = []
    interrupted = None
    rows = 0
    try:
        with reporter:
            if best_possible is not None:
                rows += leaderboard.append(settings.leaderboard, leaderboard.rows(best_possible))
            for result in runner.run_all(
                configs, prepared, directories=directory, backend=backend, reporter=reporter, on_error=on_error
            ):
                rows += leaderboard.append(settings.leaderboard, leaderboard.rows(result))
                results.append(result)
    except KeyboardInterrupt as error:
        interrupted = error
    if results:
        files = [f"{settings.leaderboard}: {rows} rows added", *(f"{settings.output / r.run_id}/" for r in results)]
        report.show(results, best_possible, as_json=settings.as_json, files=() if settings.quiet else files)
    if interrupted:
        raise interrupted
    if any(result.status in ("failed", "diverged") for result in results):
        raise typer.Exit(1)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to look for datasets' files, besides SUITE_DATA.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Show tasks, models and datasets, and which of them are available offline now."""
    with _errors(debug=debug):
        from suite import listing

        found = listing.collect(data_dir)
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else listing.as_text(found))


@app.command()
def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_MODULE:CLASS", help="A layer's or model's class, a function that makes one, or an object."
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="ARGUMENT=VALUE", help="An argument of the constructor; repeatable."),
    ] = None,
    kind: Annotated[
        Literal["sequence", "tokens", "characters", "image", "waveform"] | None,
        typer.Option("--input", help="What it is fed with. Default: the first of these that it takes."),
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="The width of a sequence. Default: one that it takes.", min=1)
    ] = None,
    causal: Annotated[
        bool,
        typer.Option("--causal", help="It claims that no position reads a later one, without an argument `causal`."),
    ] = False,
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="auto: a GPU where there is one.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Probe a layer or model: leaks, padding, cache, saving, precision and more. Exit code 1 when a probe fails."""
    with _errors(debug=debug):
        from suite import backend
        from suite import target as targets

        found, arguments = targets.parse(target), targets.arguments(set_ or ())
        backend.prepare(device=device, precision="float32")
        from suite.checks import command

        if not command.run(found, arguments, kind=kind, width=width, causal=causal or None, as_json=as_json):
            raise typer.Exit(1)


@contextlib.contextmanager
def _errors(*, debug: bool) -> Iterator[None]:
    """Turns what went wrong into a message on standard error and an exit code."""
    try:
        yield
    except InputError as error:
        _fail(error, 2, debug=debug)
    except RunError as error:
        _fail(error, 1, debug=debug)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was reached is kept; the same command with --resume continues", err=True)
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if not debug:
            typer.echo("this is a fault of the program; --debug shows where it happened", err=True)
        _fail(error, 1, debug=debug)


def _fail(error: Exception, code: int, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    kind = "" if isinstance(error, InputError | RunError) else f"{type(error).__name__}: "
    typer.echo(f"error: {kind}{error}", err=True)
    raise typer.Exit(code) from None
