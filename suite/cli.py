"""The command line. Everything slow is imported where a command needs it, so that help and errors come at once.

Results go to standard output, progress and messages to standard error. Exit codes: 0 all is well, 1 a run failed or
diverged, 2 the command line, the configuration or the data are wrong, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from suite import __version__
from suite.errors import InputError, RunError

_WRITING = "For tasks that write texts"

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
    task: Annotated[str, typer.Option(help="A task's name, `all`, or a file that ends in TASK = Task(...).")],
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
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out what cannot be used in your files, and count it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the configuration and the models' layers, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no remarks.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train models on a task, all of them on the same data, and add their scores to the leaderboard."""
    with _errors(debug=debug):
        from suite import session

        asked = session.Asked(
            models=model or (),
            dataset=dataset,
            overlays=overlay or (),
            flags={
                "train.epochs": epochs,
                "train.max_minutes": max_minutes,
                "data.limit": limit,
                "precision": precision,
                "device": device,
            },
            sets=set_ or (),
            seeds=range(seed, seed + seeds),
            files={"train": train, "validation": validation, "test": test},
            data_dir=data_dir,
            leaderboard=leaderboard,
            output=output,
            resume=resume,
            dry_run=dry_run,
            skip_bad=skip_bad,
            as_json=as_json,
            quiet=quiet,
            debug=debug,
        )
        if code := session.run(task, asked):
            raise typer.Exit(code)


@app.command()
def predict(
    run_dir: Annotated[
        Path, typer.Argument(help="A finished run's directory. Load none whose origin you do not trust.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...", help="Texts, or paths of sounds or pictures. Default: the lines of standard input."
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one input a line.")] = None,
    context: Annotated[
        str | None, typer.Option(help="The text or story that the questions are about; @FILE reads it from a file.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many answers for each input.", min=1)] = 1,
    max_tokens: Annotated[
        int | None, typer.Option(help="The most tokens that are written.", min=0, rich_help_panel=_WRITING)
    ] = None,
    beam: Annotated[int | None, typer.Option(help="Size of a beam search.", min=1, rich_help_panel=_WRITING)] = None,
    length_penalty: Annotated[
        float | None, typer.Option(help="Of a beam: above 0 prefers longer texts.", min=0, rich_help_panel=_WRITING)
    ] = None,
    coverage_penalty: Annotated[
        float | None,
        typer.Option(
            help="Of a beam: above 0 prefers texts that read all of the source.", min=0, rich_help_panel=_WRITING
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Of drawn tokens: 0 takes the best one, 1 follows the model.", min=0, rich_help_panel=_WRITING
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from so many best tokens.", min=1, rich_help_panel=_WRITING)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw from the best tokens of this probability.", max=1, rich_help_panel=_WRITING),
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(help="Draw tokens of at least this share of the best one's.", max=1, rich_help_panel=_WRITING),
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1 avoids tokens that are there already.", rich_help_panel=_WRITING)
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="A text that ends an answer; repeatable.", rich_help_panel=_WRITING)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of drawn tokens.", min=0, rich_help_panel=_WRITING)] = 0,
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="auto: a GPU where there is one.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Answer new inputs with a trained model: one line an input, each answer followed by its probability.

    A model that writes texts gives them alone, as they come, and with --top each with its score.
    """
    with _errors(debug=debug):
        from suite import inputs as given
        from suite import trained
        from suite.task import Writing

        writing = Writing(
            max_tokens=max_tokens,
            beam=beam,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            stop=tuple(stop or ()),
            seed=seed,
            n_best=top,
        )
        model = trained.load(run_dir, device=device)
        piped = None if sys.stdin.isatty() else sys.stdin
        asked = given.collect(model.task, inputs or (), file=file, standard_input=piped, context=context)
        show = given.as_json if as_json else given.as_text
        if model.stream is not None and not as_json and top == 1 and beam is None:
            for _, example in asked:
                for piece in model.stream(example, writing):
                    typer.echo(piece, nl=False)
                typer.echo()
        else:
            for (fields, _), answers in zip(asked, model.answers([e for _, e in asked], writing), strict=True):
                typer.echo(show(fields, answers))


@app.command()
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Score a trained model on other data, as a row of its own on the leaderboard."""
    with _errors(debug=debug):
        import leaderboard as board
        from suite import report, trained
        from suite.console import reporter

        model = trained.load(run_dir, device=device)
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
