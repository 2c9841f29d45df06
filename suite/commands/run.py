"""`run`: trains models on a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from suite.commands.failing import failing


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
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            help="Runs at once: for small models and several seeds. On Linux each has its share of the processors, "
            "and rows say how many.",
        ),
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue interrupted runs of the same configuration; keep finished ones.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Show where each model's time went, and keep it with a trace of about six training steps in the run's "
            "directory. Scores stay the same; the traced steps are slower, and writing the trace takes moments.",
        ),
    ] = False,
    auto_batch: Annotated[
        bool,
        typer.Option(
            "--auto-batch",
            help="Where memory runs out, halve the batch until a training step fits, and gather gradients, so that "
            "an update still sees a whole batch.",
        ),
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out what cannot be used in your files, and count it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the configuration and the models' layers and cost, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no remarks.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train models on a task, all of them on the same data, and add their scores to the leaderboard."""
    with failing(debug=debug):
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
            jobs=jobs,
            resume=resume,
            dry_run=dry_run,
            skip_bad=skip_bad,
            profile=profile,
            auto_batch=auto_batch,
            as_json=as_json,
            quiet=quiet,
            debug=debug,
        )
        if code := session.run(task, asked):
            raise typer.Exit(code)
