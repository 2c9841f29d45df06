"""Words, characters and word shapes as numbers. NumPy and the standard library alone.

0 is padding and 1 is everything unknown, in every vocabulary.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

PADDING, UNKNOWN = 0, 1
FIRST = 2  # the number of the first known item


def vocabulary(items: Iterable[str], *, min_count: int = 1) -> list[str]:
    """The items that occur at least `min_count` times, the most frequent first, ties in alphabetical order.

    Example:

    >>> vocabulary("abracadabra", min_count=2)
    ['a', 'b', 'r']
    """
    counts = Counter(items)
    return [item for item, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if count >= min_count]


def numbers(known: Sequence[str]) -> dict[str, int]:
    """Each known item's number; look others up with `.get(item, UNKNOWN)`."""
    return {item: number for number, item in enumerate(known, start=FIRST)}


def normalize(word: str) -> str:
    """The word as the vocabulary knows it: lower case, every digit a 0.

    Example:

    >>> normalize("MH370")
    'mh000'
    """
    return re.sub(r"\d", "0", word.lower())


def shape(word: str) -> str:
    """The word's outline: X for capitals, x for small letters, d for digits, other characters themselves.

    Runs of more than three are cut to three, so that there are few shapes.

    Example:

    >>> [shape(word) for word in ("NATO", "McDonald", "1,250.50", "don't")]
    ['XXX', 'XxXxxx', 'd,ddd.dd', "xxx'x"]
    """
    outline = "".join("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in word)
    return re.sub(r"(.)\1{3,}", r"\1\1\1", outline)


def characters(word: str, known: dict[str, int], *, limit: int) -> np.ndarray:
    """The word's characters as int32 numbers of shape (limit,), zeros at the end.

    A longer word keeps its first and its last half, for both prefix and suffix tell much.
    """
    if len(word) > limit:
        word = word[: limit - limit // 2] + word[len(word) - limit // 2 :]
    found = np.zeros(limit, dtype="int32")
    found[: len(word)] = [known.get(character, UNKNOWN) for character in word]
    return found
