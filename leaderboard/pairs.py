"""Two entries of a contest: how much they differ, and whether that is real."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from leaderboard import paired, resampling
from leaderboard.contests import Entry

LEVEL = 0.05

Certainty = Literal["seeds and examples", "examples only", "seeds only", ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """The first entry less the second.

    Args:
        difference: of the means.
        low, high: its 95 % interval; NaN where nothing is known.
        p: of so large a difference where there is none; NaN where no test can be made.
        certainty: what was free to vary: other seeds, other test examples, or both; empty where no test can be made.
        test: its name.
        single: whether one of the two has one seed, so that its other seeds are not known.
        steady: the variance of the difference that more seeds do not lessen.
        seeds: the variances of one seed of each, added; NaN where one has a single seed.
    """

    difference: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    certainty: Certainty = ""
    test: str = "cannot tell"
    single: bool = False
    steady: float = 0.0
    seeds: float = math.nan

    def needed(self, examples: int | None) -> str:
        """What would show such a difference, in words."""
        if not self.difference or math.isnan(self.p) or math.isnan(self.seeds):
            return ""
        number = resampling.seeds_needed(self.difference, examples=self.steady, seeds=self.seeds)
        if number is not None:
            return f"about {number} seeds of each would show it"
        more = math.ceil((examples or 0) * self.steady * (1.96 + 0.84) ** 2 / self.difference**2)
        return f"no number of seeds would show it; about {more:,} test examples might" if examples else ""


def judge(first: Entry, second: Entry, *, same_seeds: bool = False) -> Pair:
    """How much two complete entries differ.

    Several seeds: see `leaderboard.resampling`. One seed of each: McNemar's test for accuracies, else approximate
    randomization, and the paired bootstrap for the interval; these say that the two runs differ.

    Args:
        first, second: entries of one contest.
        same_seeds: whether the runs are of the same seeds in the same order and share more than the test set, such as
            two versions of the same model; they are then compared seed by seed.
    """
    with_outcomes = bool(first.parts and second.parts)
    if not with_outcomes and not same_seeds and min(len(first.rows), len(second.rows)) > 1:
        return _welch(first, second)
    one, two = first.runs, second.runs
    if not with_outcomes:
        one, two = resampling.Runs(one.scores), resampling.Runs(two.scores)
    difference = float(one.scores.mean() - two.scores.mean())
    single = min(one.seeds, two.seeds) == 1
    seeds = math.nan if single else float(one.scores.var(ddof=1) + two.scores.var(ddof=1))
    if same_seeds and not single:
        seeds = float((one.scores - two.scores).var(ddof=1))
    if with_outcomes and (one.seeds == two.seeds == 1):
        return _runs(first, second, difference)
    if single and not with_outcomes:
        return Pair(difference=difference, single=True)
    found = resampling.estimate(one.minus(two)) if same_seeds else resampling.estimate(one, two)
    if not found.variance > 0:
        return _without_variance(first, second, difference, with_outcomes, single)
    low, high = found.interval()
    certainty: Certainty = "examples only" if single else "seeds and examples" if with_outcomes else "seeds only"
    return Pair(
        difference=difference,
        low=float(low),
        high=float(high),
        p=float(found.p),
        certainty=certainty,
        test="hierarchical bootstrap" if with_outcomes else "paired t",
        single=single,
        steady=max(float(found.test_variance - found.shared_variance), 0.0),
        seeds=seeds,
    )


def _welch(first: Entry, second: Entry) -> Pair:
    """What `leaderboard.resampling.estimate` gives for seeds alone, without arrays: a large board has thousands."""
    from scipy.special import stdtr, stdtrit

    (n, mean, one), (m, other, two) = first.moments, second.moments
    difference, variance = mean - other, one / n + two / m
    if not variance > (1e-12 * max(abs(mean), abs(other))) ** 2:
        return Pair(difference=difference)
    # As shares of the variance, for the square of a small or a large one is no number.
    freedom = 1 / ((one / n / variance) ** 2 / (n - 1) + (two / m / variance) ** 2 / (m - 1))
    error = math.sqrt(variance)
    half = float(stdtrit(freedom, 0.975)) * error
    return Pair(
        difference=difference,
        low=difference - half,
        high=difference + half,
        p=2 * float(stdtr(freedom, -abs(difference) / error)),
        certainty="seeds only",
        test="Welch's t",
        seeds=one + two,
    )


def _runs(first: Entry, second: Entry, difference: float) -> Pair:
    (one,), (two,) = first.parts, second.parts
    if one.plain and two.plain:
        right = (one.parts[:, 0] > 0), (two.parts[:, 0] > 0)
        p, test = paired.mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())), "McNemar"
    else:
        change = second.tossed - first.tossed
        sums = one.parts.sum(axis=0), two.parts.sum(axis=0)
        p = paired.exchanged(*sums, change, one.combine, examples=len(one.parts))
        test = "approximate randomization"
    drawn = first.runs.minus(second.runs).drawn
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn is not None else (math.nan, math.nan)
    return Pair(
        difference=difference,
        low=float(low),
        high=float(high),
        p=p,
        certainty="examples only",
        test=test,
        single=True,
        steady=float(np.var(drawn)) if drawn is not None else 0.0,
    )


def _without_variance(first: Entry, second: Entry, difference: float, with_outcomes: bool, single: bool) -> Pair:
    """Runs that never vary: the same answers to each example, or seeds that change nothing and no outcomes."""
    if with_outcomes and difference == 0:
        return Pair(
            difference=0.0, low=0.0, high=0.0, p=1.0, certainty="seeds and examples", test="same answers", single=single
        )
    if with_outcomes:
        one, two = (dataclasses.replace(entry, rows=entry.rows[:1], parts=entry.parts[:1]) for entry in (first, second))
        return _runs(one, two, difference)
    return Pair(difference=difference, single=single)


def real(p: Sequence[float]) -> list[bool | None]:
    """Which of these differences are real, by Holm's correction of their p-values; `None` where nobody can tell."""
    raised = paired.holm(np.array(p, "float64"))
    return [None if math.isnan(each) else bool(each < LEVEL) for each in raised]
