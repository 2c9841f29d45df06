"""What a probe finds.

A probe is a function of a `Subject` that returns what it measured, or raises `NotApplicableError`. Its name is shown,
and the first line of its docstring says what holds where it passes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from suite.checks.calling import deviation, message
from suite.checks.subject import Subject
from suite.errors import InputError

Status = Literal["passed", "failed", "not applicable"]

POLICIES = {"float32": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
# The largest differences that rounding may make, relative to 1 + the size of what was expected.
TOLERANCE = {"float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}


class NotApplicableError(Exception):
    """The subject does not do what the probe is about; the message says why."""


class ProbeFailedError(AssertionError):
    """A probe found a fault, or a fault stopped the probe."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a probe found.

    Args:
        name: the probe's.
        claim: what holds where it passes.
        status: `passed`, `failed` or `not applicable`.
        tried: what was done.
        deviation: the largest one, relative to 1 + the size of what was expected; of a probe that counts, a number of
            faults; None where nothing was measured.
        tolerance: the largest that passes.
        reason: why it failed or does not apply.
    """

    name: str
    claim: str
    status: Status
    tried: str = ""
    deviation: float | None = None
    tolerance: float | None = None
    reason: str = ""


class Measured:
    """Collects comparisons and faults, and keeps the worst."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.faults: list[str] = []
        self.deviation = 0.0
        self.tolerance = 0.0
        self._worst = -1.0

    def compare(
        self,
        what: str,
        got: Sequence[np.ndarray],
        expected: Sequence[np.ndarray],
        tolerance: float = TOLERANCE["float32"],
        *,
        detail: str = "",
    ) -> None:
        """Takes note of how far outputs are from those expected; `detail` says more about a fault than `what`."""
        self.tried.append(what)
        apart = deviation(got, expected)
        ratio = apart / tolerance if tolerance else math.inf if apart else 0.0
        if ratio > self._worst:
            self._worst, self.deviation, self.tolerance = ratio, apart, tolerance
        if not apart <= tolerance:
            self.faults.append(f"{f'{what} {detail}'.strip()}: {apart:.2g} apart")

    def count(self, what: str, faults: list[str]) -> None:
        """Takes note of faults that have no size; there may be none."""
        self.tried.append(what)
        self.faults += faults
        if faults:
            self._worst, self.deviation, self.tolerance = math.inf, float(len(self.faults)), 0.0


@dataclasses.dataclass(frozen=True)
class Probe:
    """A probe as others call it: `run` reports, a plain call raises, as a test does."""

    measure: Callable[[Subject], Measured]

    @property
    def name(self) -> str:
        """Its short name."""
        return self.measure.__name__

    @property
    def claim(self) -> str:
        """What holds where it passes."""
        return (self.measure.__doc__ or "").partition("\n")[0].rstrip(".")

    def run(self, subject: Subject) -> Outcome:
        """Tries it. Whatever the subject raises is a failure."""
        try:
            found = self.measure(subject)
        except NotApplicableError as error:
            return Outcome(name=self.name, claim=self.claim, status="not applicable", reason=str(error))
        except InputError:
            raise
        except Exception as error:  # any exception of a layer under test is a finding
            reason = f"raised {type(error).__name__}: {message(error)}"
            return Outcome(name=self.name, claim=self.claim, status="failed", reason=reason)
        return Outcome(
            name=self.name,
            claim=self.claim,
            status="failed" if found.faults else "passed",
            tried=", ".join(dict.fromkeys(found.tried)),
            deviation=found.deviation,
            tolerance=found.tolerance,
            reason="; ".join(found.faults[:3]) + (f"; and {len(found.faults) - 3} more" if found.faults[3:] else ""),
        )

    def __call__(self, subject: Subject) -> Outcome:
        """Tries it.

        Raises:
            ProbeFailedError: where it fails.
        """
        outcome = self.run(subject)
        if outcome.status == "failed":
            raise ProbeFailedError(f"{subject.name}: {self.claim}: not so. {outcome.reason}")
        return outcome
