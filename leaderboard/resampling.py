"""How certain a score is, where both the seeds and the test examples could have been others.

A score varies for two reasons: another seed trains another model, and another test set has other examples. A
hierarchical bootstrap keeps the two apart. Examples are drawn anew, the same ones for all runs, so that models stay
paired; what a mean over seeds varies by then is its *test variance*. What the seeds' own scores vary by is their *seed
variance*. Both of them hold what seed and example do together, which is counted once.

Shapes: B draws, N examples, S seeds, K sums that a score is made of. Arrays may have more axes behind these, such as
one for each of a thousand simulated boards.

Reference: Clark 1973, "The language-as-fixed-effect fallacy", on two random factors; Welch 1947, "The generalization of
Student's problem", on degrees of freedom; Efron and Tibshirani 1993, "An introduction to the bootstrap".
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

DRAWS = 1000
BLOCKS = 2000
"""More examples than these are drawn in so many blocks, which is as good and costs less: the variance of a mean is then
known to 3 %."""

CONFIDENCE = 0.95
POWER = 0.8

_CACHED = 2_000_000  # numbers of a matrix of draws that is worth keeping


def draws(examples: int, *, count: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each example is taken in each bootstrap draw, (B, N). The same numbers for the same arguments."""
    make = _kept_draws if examples * count <= _CACHED else _draws
    return make(examples, count, seed)


def _draws(examples: int, count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    taken = np.empty((count, examples))
    for row in taken:
        row[:] = np.bincount(generator.integers(0, examples, examples), minlength=examples)
    return taken


_kept_draws = functools.lru_cache(maxsize=8)(_draws)


@dataclasses.dataclass(frozen=True)
class Runs:
    """The runs of one model on one test set, one a seed.

    Args:
        scores: (S, ...) what each reached.
        drawn: (B, S, ...) what each would have reached on each bootstrap draw of the examples, the draws being the same
            for all models; `None` where the outcomes of single examples are not known.
    """

    scores: np.ndarray
    drawn: np.ndarray | None = None

    @property
    def seeds(self) -> int:
        """How many runs there are."""
        return len(self.scores)

    def minus(self, other: Runs) -> Runs:
        """The differences, seed by seed: for runs that share more than the test set."""
        drawn = None if self.drawn is None or other.drawn is None else self.drawn - other.drawn
        return Runs(self.scores - other.scores, drawn)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean score or a difference of two, and how certain it is. All fields are arrays, or numbers.

    The error is taken for Student's t in the share `share` of all cases, else for normally distributed.

    Args:
        value: the estimate.
        test_variance: of the estimate, for other test examples and the same seeds; 0 where outcomes are not known.
        seed_variance: of the estimate, for other seeds and the same test examples; 0 where there is one seed.
        shared_variance: the part that is in both of these.
        variance: for other seeds and other examples.
        freedom: degrees of freedom of Student's t.
        share: see above.
    """

    value: Any
    test_variance: Any
    seed_variance: Any
    shared_variance: Any
    variance: Any
    freedom: Any
    share: Any

    @property
    def p(self) -> Any:
        """The probability of so large a value, in either direction, where the true one is 0. NaN where there is no
        variance, since then nothing is known of it."""
        return 2 * self._tail(np.abs(self.value) / self._error)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
        """The bounds between which the true value lies in so many of all cases; NaN where there is no variance."""
        from scipy.special import ndtri, stdtrit

        if np.all(self.share == 1):
            half = stdtrit(self.freedom, (1 + confidence) / 2) * self._error
            return self.value - half, self.value + half
        # Between the normal distribution's quantile and Student's.
        low = np.full_like(self.share, ndtri((1 + confidence) / 2))
        high = np.maximum(stdtrit(self.freedom, (1 + confidence) / 2), low)
        for _ in range(50):
            middle = (low + high) / 2
            beyond = self._tail(middle) > (1 - confidence) / 2
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        half = high * self._error
        return self.value - half, self.value + half

    def _tail(self, x: Any) -> Any:
        from scipy.special import ndtr, stdtr

        return (1 - self.share) * ndtr(-x) + self.share * stdtr(self.freedom, -x)

    @property
    def _error(self) -> Any:
        return np.sqrt(np.where(self.variance > 0, self.variance, np.nan))


def estimate(*groups: Runs) -> Estimate:
    """The mean over the seeds of one model, or of the first model less that of the second.

    The variances are added as for two crossed random factors, and Student's t tells how little three seeds know of
    theirs. Only so are intervals honest: to draw three seeds anew, as the plain bootstrap does, finds two thirds of
    their variance, and a test on it gives false alarms in one of eight cases.

    Args:
        groups: one or two models' runs. Where one lacks outcomes, the seeds alone are looked at.
    """
    signs = (1.0, -1.0)
    value = sum((sign * group.scores.mean(axis=0) for sign, group in zip(signs, groups, strict=False)), np.float64(0))
    test, shared = np.zeros_like(value), np.zeros_like(value)
    drawn = [group.drawn for group in groups if group.drawn is not None]
    if len(drawn) == len(groups):
        means = sum((sign * each.mean(axis=1) for sign, each in zip(signs, drawn, strict=False)), np.float64(0))
        test = means.var(axis=0, ddof=1)  # (B, ...) -> (...)
        for each in drawn:
            if (seeds := each.shape[1]) > 1:
                own = each - each.mean(axis=1, keepdims=True)  # (B, S, ...)
                shared = shared + own.var(axis=0, ddof=1).sum(axis=0) / (seeds - 1) / seeds
    parts = [(group.scores.var(axis=0, ddof=1) / group.seeds, group.seeds - 1) for group in groups if group.seeds > 1]
    seed = sum((part for part, _ in parts), np.zeros_like(value))
    # Without bias, a variance may come out as negative; what examples give alone is the least.
    variance = np.maximum(test + seed - shared, np.maximum(test - shared, 0.3 * test))
    scale = max(float(np.abs(group.scores).max(initial=0.0)) for group in groups)
    variance = np.where(variance > (1e-12 * scale) ** 2, variance, 0.0)  # rounding is no variance
    share = np.where(variance > 0, np.minimum(seed / np.where(variance > 0, variance, 1), 1), 0.0)
    if len(parts) == 2:
        return Estimate(value, test, seed, shared, variance, _freedom(variance, test, parts), np.ones_like(share))
    freedom = np.full_like(share, parts[0][1] if parts else 1)
    return Estimate(value, test, seed, shared, variance, freedom, share)


def _freedom(variance: Any, test: Any, parts: Sequence[tuple[Any, int]]) -> Any:
    """Degrees of freedom of a difference. Test examples are many and have no part in them.

    Without outcomes Welch's. With them squares of variances are taken without bias (n + 2 for n), and so is the ratio
    (less 2), if there are more than two seeds; that keeps the rate of false alarms for 2 to 10 seeds.
    """
    fewest = min(n for _, n in parts)
    more = np.where((test > 0) & (fewest > 1), 2, 0)
    whole = np.where(variance > 0, variance, 1)
    square = sum((part / whole) ** 2 / (n + more) for part, n in parts)  # of shares, which has no overflow
    found = np.where(square > 0, 1 / np.where(square > 0, square, 1), 1e9)
    return np.clip(found - more, fewest, 1e9)


def seeds_needed(value: float, *, examples: float, seeds: float, power: float = POWER, most: int = 1000) -> int | None:
    """How many seeds of each model would show this difference, if it is the true one, four times out of five.

    Args:
        value: the difference.
        examples: the variance of the difference that more seeds do not lessen, for other test examples.
        seeds: the variances of one seed of both models, added.
        power: the probability of a right statement.
        most: beyond which nobody will go.

    Returns:
        The number; `None` where `most` would not do, as the test set is too small.

    Example:

    >>> seeds_needed(0.02, examples=0.0, seeds=2 * 0.02**2)  # one standard deviation
    17
    """
    from scipy.special import nctdtr, stdtrit

    if not value or (examples > 0 and abs(value) / math.sqrt(examples) < 1.96 + 0.84):
        return None
    if not examples + seeds / most:
        return 2

    def reached(number: int) -> float:
        share = min(1 + number * examples / seeds, 1e3) if seeds > 0 else 1e3  # of all variance, to that of seeds
        freedom = min(2 * (number - 1) * share**2, 1e6)
        effect = abs(value) / math.sqrt(examples + seeds / number)
        return float(1 - nctdtr(freedom, effect, stdtrit(freedom, (1 + CONFIDENCE) / 2)))

    numbers = range(2, most + 1)
    place = bisect.bisect_left(numbers, power, key=reached)  # power only grows with the number of seeds
    return numbers[place] if place < len(numbers) else None
