"""Tests of two runs on the same examples, where each run has one seed; and what many tests together may claim.

They say whether these two trained models differ on examples like those of the test set. Whether the next seed of either
would do so they cannot say: see `leaderboard.resampling` for several seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

SMALL = 25
"""Up to so many examples on which one of two runs alone is right, McNemar's test is exact."""

RANDOMIZATIONS = 2000

_EXACT = 12  # examples whose 2**12 exchanges are all tried

_BLOCK = 2_000_000  # tosses that are worked on at once

Combine = Callable[[np.ndarray], np.ndarray]


def mcnemar(first_alone: int, second_alone: int) -> float:
    """The two-sided p-value of two accuracies, from the numbers of examples on which one run alone was right.

    Up to `SMALL` such examples it is exact, and as any exact test of few cases on the safe side; from there on half of
    the probability of what was seen is left out (mid-p), which keeps the rate of false alarms near its level.

    Example:

    >>> mcnemar(1, 9)  # 2 * (1 + 10) / 2**10
    0.021484375

    Reference: McNemar 1947; Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs data".
    """
    from scipy.special import bdtr, gammaln

    fewer, both = min(first_alone, second_alone), first_alone + second_alone
    if first_alone == second_alone:
        return 1.0
    p = 2 * float(bdtr(fewer, both, 0.5))
    if both > SMALL:
        seen = gammaln(both + 1) - gammaln(fewer + 1) - gammaln(both - fewer + 1) - both * np.log(2)
        p -= float(np.exp(seen))
    return min(p, 1.0)


def randomization(first: np.ndarray, second: np.ndarray, combine: Combine, *, seed: int = 0) -> float:
    """The two-sided p-value of two scores of any kind: how often they differ as much when the runs' answers to each
    example are exchanged by the toss of a coin. All exchanges are tried where there are few.

    Args:
        first, second: (N, K) for each example what the score is made of.
        combine: sums (..., K) -> score (...).
        seed: of the tosses.

    Example:

    >>> mean = lambda sums: sums[..., 0] / 3
    >>> randomization(np.array([[1.0], [1.0], [1.0]]), np.zeros((3, 1)), mean)  # 2 of 8 exchanges differ as much
    0.25

    Reference: Noreen 1989, "Computer-intensive methods for testing hypotheses"; Yeh 2000,
    https://arxiv.org/abs/cs/0008005.
    """
    one, two = first.sum(axis=0), second.sum(axis=0)
    return exchanged(one, two, tossed(second, seed=seed) - tossed(first, seed=seed), combine, examples=len(first))


def tossed(parts: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The sums (R, K) over the examples that the tosses take. Two runs exchange what these say of both."""
    examples = len(parts)
    if examples <= _EXACT:
        return ((np.arange(2**examples)[:, None] >> np.arange(examples)) & 1) @ parts
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // examples)
    return np.concatenate(
        [
            generator.integers(0, 2, (min(rows, RANDOMIZATIONS - at), examples), dtype="int8") @ parts
            for at in range(0, RANDOMIZATIONS, rows)
        ]
    )


def exchanged(first: np.ndarray, second: np.ndarray, change: np.ndarray, combine: Combine, *, examples: int) -> float:
    """The p-value of `randomization`, from both runs' sums (K,) and what each toss (R, K) adds to the first and takes
    from the second."""
    seen = abs(float(combine(first) - combine(second)))
    found = np.abs(combine(first + change) - combine(second - change))
    as_much = int((found >= seen - 1e-9 * seen).sum())
    return as_much / len(change) if examples <= _EXACT else (as_much + 1) / (len(change) + 1)


def wilson(right: int, examples: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share of right answers; honest also where all are right, or none.

    Example:

    >>> low, high = wilson(10, 10)
    >>> round(low, 4), round(high, 4)
    (0.7225, 1.0)

    Reference: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    share, size = right / examples, 1 + z**2 / examples
    half = z * np.sqrt(share * (1 - share) / examples + z**2 / (4 * examples**2)) / size
    middle = (share + z**2 / (2 * examples)) / size
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values raised so that, among all those given, one false alarm is as rare as a single test's.

    NaN, a test that could not be made, stays NaN and does not count.

    Example:

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]

    Reference: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    p = np.asarray(p, "float64")
    raised = np.full(len(p), np.nan)
    made = np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    raised[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return raised
