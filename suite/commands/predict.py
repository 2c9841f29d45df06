"""`predict`: answers new inputs with a trained model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from suite.commands.failing import failing

_WRITING = "For tasks that write texts"


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
    quantize: Annotated[
        Literal["int8"] | None, typer.Option(help="Compute with weights and features of eight bits.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Answer new inputs with a trained model: one line an input, each answer followed by its probability.

    A model that writes texts gives them alone, as they come, and with --top each with its score.
    """
    with failing(debug=debug):
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
        model = trained.load(run_dir, device=device, quantize=quantize)
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
