"""Probes that anyone can run on a layer or a model of their own.

On the command line `python -m suite check FILE_OR_MODULE:Class --set argument=value`; in one's own tests:

    from suite import checks

    @checks.parametrize([MyAttention(2), lambda: MyBlock(2, hidden=8)])
    def test_layers(subject, probe):
        probe(subject)

A layer that the probes cannot call by themselves is wrapped: ``checks.Subject(MyLayer(), kind="tokens")``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import keras

from suite.checks.cached import cached
from suite.checks.keeping import compiled, config, precision, saving, shapes, training
from suite.checks.outcome import TOLERANCE, NotApplicableError, Outcome, Probe, ProbeFailedError
from suite.checks.reading import batch, causal, closed_row, padding
from suite.checks.subject import Subject

if TYPE_CHECKING:
    import pytest

__all__ = ["PROBES", "TOLERANCE", "NotApplicableError", "Outcome", "Probe", "ProbeFailedError", "Subject"]
__all__ += ["check", "parametrize"]

MEASURES = causal, padding, cached, closed_row, batch, shapes, config, saving, training, precision, compiled
PROBES: tuple[Probe, ...] = tuple(Probe(measure) for measure in MEASURES)

Checked: TypeAlias = keras.layers.Layer | Callable[[], keras.layers.Layer] | Subject


def check(layer: Checked, *, probes: Sequence[Probe] = PROBES) -> list[Outcome]:
    """Runs probes on a layer or model.

    Args:
        layer: a layer or model, which itself stays as it is; a class or function that makes one; or a `Subject`.
        probes: by default all.

    Returns:
        an outcome for each probe.

    Raises:
        InputError: where no known kind of input suits the layer.

    Example:

    >>> outcomes = check(keras.layers.ReLU(), probes=[probe for probe in PROBES if probe.name in ("causal", "batch")])
    >>> [(outcome.name, outcome.status) for outcome in outcomes]
    [('causal', 'not applicable'), ('batch', 'passed')]
    """
    subject = _subject(layer)
    return [probe.run(subject) for probe in probes]


def parametrize(layers: Iterable[Checked], *, probes: Sequence[Probe] = PROBES) -> pytest.MarkDecorator:
    """A pytest decorator for a test of `subject` and `probe`, which becomes one test for each pair of them.

    The test calls ``probe(subject)``, which raises an AssertionError that says what was found, and which skips the
    test where the probe does not apply.

    Args:
        layers: layers or models, which themselves stay as they are; classes or functions that make them; `Subject`s.
        probes: by default all.
    """
    import pytest

    def strict(probe: Probe) -> Callable[[Subject], Outcome]:
        def call(subject: Subject) -> Outcome:
            outcome = probe(subject)
            if outcome.status == "not applicable":
                pytest.skip(outcome.reason)
            return outcome

        return call

    pairs = [
        pytest.param(subject, strict(probe), id=f"{subject.name}-{probe.name}")
        for subject in map(_subject, layers)
        for probe in probes
    ]
    return pytest.mark.parametrize(("subject", "probe"), pairs)


def _subject(layer: Checked) -> Subject:
    return layer if isinstance(layer, Subject) else Subject(layer)
