"""Random draws that are the same in every version of Python, for data that is generated."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any


class Dice:
    """Draws from a seed. Of all of Python's random methods, random() alone is promised to stay as it is.

    Example:

    >>> dice = Dice(7)
    >>> dice.pick("abc"), dice.below(10), dice.shuffled([1, 2, 3])
    ('a', 1, [2, 1, 3])
    """

    def __init__(self, seed: int):
        self._random = random.Random(seed).random

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def below(self, limit: int) -> int:
        """A number from 0 to below the limit, each as likely."""
        return int(self._random() * limit)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of them, each as likely."""
        return choices[self.below(len(choices))]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """One of the names, as likely as its weight is large."""
        totals = list(itertools.accumulate(weights.values()))
        return list(weights)[bisect.bisect(totals, self._random() * totals[-1], hi=len(totals) - 1)]

    def shuffled(self, items: Sequence[Any]) -> list[Any]:
        """All of them, in any order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in items]
