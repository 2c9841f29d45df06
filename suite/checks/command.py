"""`python -m suite check`: a class, function or object named on the command line, probed and reported."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from suite import report
from suite.checks import PROBES, Outcome, Subject
from suite.checks.calling import arguments_of, copy_of, message, parameters
from suite.errors import InputError, did_you_mean
from suite.layers import Position
from suite.target import Target

EXAMPLES = {"heads": 2, "feed_forward": 16, "hidden": 16, "attention": 2, "width": 8, "vocabulary": 11, "depth": 2}
COLOURS = {"passed": "green", "failed": "red", "not applicable": "dim"}


def run(
    target: Target,
    arguments: Mapping[str, Any],
    *,
    kind: str | None,
    width: int | None,
    causal: bool | None,
    as_json: bool,
) -> bool:
    """Probes what is named, shows what was found, and tells whether all probes passed that apply."""
    subject = make_subject(target, arguments, kind=kind, width=width, causal=causal)
    subject.layer  # noqa: B018 - an input error comes before any probe
    outcomes = []
    with Console(stderr=True).status("") as status:
        for probe in PROBES:
            status.update(f"{subject.name}: {probe.name}")
            outcomes.append(probe.run(subject))
    passed = all(outcome.status != "failed" for outcome in outcomes)
    if as_json:
        report.print_json(_plain(subject, outcomes, passed=passed))
    else:
        _show(subject, outcomes)
    return passed


def make_subject(target: Target, arguments: Mapping[str, Any], **options: Any) -> Subject:
    """The subject that a target and its arguments make.

    Raises:
        InputError: an argument is unknown, missing or refused, or the target gives no layer.
    """
    found = target.load()
    if isinstance(found, keras.layers.Layer):
        if arguments:
            raise InputError(f"--set {next(iter(arguments))}: {target.name} is made already; --set is for a class")
        return Subject(found, name=target.name, **options)
    is_layer = isinstance(found, type) and issubclass(found, keras.layers.Layer)
    if not is_layer and not inspect.isroutine(found):
        raise InputError(f"{target.place}:{target.name}: expected a Keras layer, a model, or a function that makes one")
    _check_arguments(target, found, arguments)

    def make() -> keras.layers.Layer:
        return found(**{name: _value(value) for name, value in arguments.items()})

    shown = ", ".join(f"{k}={v.name if isinstance(v, Target) else repr(v)}" for k, v in arguments.items())
    name = f"{target.name}({shown})"
    try:
        layer = make()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name} cannot be made: {type(error).__name__}: {message(error)}") from error
    if isinstance(layer, Position) and layer.in_attention:
        raise InputError(
            f"{target.name} acts inside attention, so check an attention that has it: "
            f"suite.layers:MultiHeadAttention --set heads=2 --set position={target.place}:{target.name}"
        )
    return Subject(make, name=name, **options)


def _check_arguments(target: Target, found: Any, arguments: Mapping[str, Any]) -> None:
    own = parameters(found)
    known = arguments_of(found) if isinstance(found, type) else set(own)
    for name in arguments:
        if name not in known:
            raise InputError(f"--set {name}: {target.name} has no such argument; {did_you_mean(name, known)}")
    missing = [name for name, p in own.items() if p.default is p.empty and name not in arguments]
    if missing:
        example = " ".join(f"--set {name}={EXAMPLES.get(name, '...')}" for name in missing)
        raise InputError(f"{target.name} needs {', '.join(missing)}; give it, for example {example}")


def _value(value: Any) -> Any:
    """A fresh object for what names a class or an object; anything else as it is."""
    if not isinstance(value, Target):
        return value
    found = value.load()
    if isinstance(found, keras.layers.Layer):
        return copy_of(found)
    if not isinstance(found, type):
        return found
    missing = [name for name, p in parameters(found).items() if p.default is p.empty]
    if missing:
        needed = ", ".join(missing)
        raise InputError(f"{value.name} needs {needed}; name an object in {value.place} instead of the class")
    return found()


def _plain(subject: Subject, outcomes: Sequence[Outcome], *, passed: bool) -> dict[str, Any]:
    def finite(outcome: Outcome) -> dict[str, Any]:
        value = outcome.deviation
        return dataclasses.asdict(outcome) | {"deviation": value if value is None or math.isfinite(value) else None}

    return {
        "subject": subject.name,
        "backend": keras.backend.backend(),
        "passed": passed,
        "inputs": {name: kind.name for name, (kind, _) in subject.kinds.items()},
        "refused": subject.refused,
        "outcomes": [finite(outcome) for outcome in outcomes],
    }


def _show(subject: Subject, outcomes: Sequence[Outcome]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    table = Table(title=f"{subject.name} on {keras.backend.backend()}", title_justify="left", show_lines=True)
    table.add_column("probe")
    table.add_column("result")
    table.add_column("deviation", justify="right")
    table.add_column("tolerance", justify="right")
    table.add_column("tried")
    for outcome in outcomes:
        colour = COLOURS[outcome.status]
        table.add_row(
            outcome.name,
            f"[{colour}]{outcome.status}[/{colour}]",
            "" if outcome.deviation is None else f"{outcome.deviation:.2g}",
            "" if outcome.tolerance is None else f"{outcome.tolerance:.2g}",
            outcome.reason if outcome.status == "not applicable" else outcome.tried,
        )
    console.print(table)
    kinds = ", ".join(f"{name}: {kind.name}" for name, (kind, _) in subject.kinds.items())
    console.print(f"inputs: {kinds}", markup=False, highlight=False)
    for label, answer in subject.refused.items():
        console.print(f"refused: {label}: {answer}", markup=False, highlight=False)
    for outcome in outcomes:
        if outcome.status == "failed":
            console.print(f"failed: {outcome.claim}: {outcome.reason}", markup=False, highlight=False)
