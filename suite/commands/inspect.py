"""`list` and `check`: what there is, and whether a layer does what it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from suite.commands.failing import failing


def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to look for datasets' files, besides SUITE_DATA.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Show tasks, models and datasets, and which of them are available offline now."""
    with failing(debug=debug):
        from suite import listing

        found = listing.collect(data_dir)
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else listing.as_text(found))


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
    with failing(debug=debug):
        from suite import backend
        from suite import target as targets

        found, arguments = targets.parse(target), targets.arguments(set_ or ())
        backend.prepare(device=device, precision="float32")
        from suite.checks import command

        if not command.run(found, arguments, kind=kind, width=width, causal=causal or None, as_json=as_json):
            raise typer.Exit(1)
