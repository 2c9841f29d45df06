"""How well a model predicts a text, and how varied what it writes is.

Sums are taken over all tokens before anything is divided: a mean of the means of batches or texts would be another
number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"\w+|[^\w\s]")


def loss(nats: Sequence[np.ndarray]) -> float:
    """The mean over all tokens of all texts of ``-log p``, in nats, from 0 on.

    Args:
        nats: one array a text, one number a token.

    Example:

    >>> round(loss([np.array([1.0, 2.0, 6.0]), np.array([3.0])]), 3)
    3.0
    """
    count = sum(map(len, nats))
    if not count:
        raise ValueError("a loss is a mean over at least one token. Received: none")
    return _total(nats) / count


def perplexity(nats: Sequence[np.ndarray]) -> float:
    """``exp(loss)``: among how many equally likely tokens a model chooses that is as uncertain, from 1 on.

    It depends on what a token is, and cannot be compared between tokenizers.

    Example:

    >>> round(perplexity([np.log([4.0, 4.0]), np.log([4.0])]), 3)
    4.0
    """
    return math.exp(min(loss(nats), 700.0))


def bits_per_character(nats: Sequence[np.ndarray], characters: int) -> float:
    """The length in bits of the texts as the model codes them, over their characters, from 0 on.

    It can be compared between tokenizers, as long as each text has one sequence of tokens and every character is paid
    for.

    Args:
        nats: one array a text, one number a token.
        characters: code points of all texts together.

    Example:

    >>> round(bits_per_character([np.log([2.0, 4.0])], characters=6), 3)
    0.5
    """
    if characters < 1:
        raise ValueError(f"bits per character need a character. Received: characters={characters}")
    return _total(nats) / math.log(2) / characters


def distinct(texts: Sequence[str], size: int) -> float:
    """The share of different ones among all runs of so many words, over all texts together, from 0 to 1.

    Words and punctuation marks count, in small letters; runs do not go from one text into the next. It falls with the
    length of the texts, so compare it for equal lengths alone. Without any run it is 0.

    Example:

    >>> distinct(["to be or not to be"], 1), distinct(["to be or not to be"], 2)
    (0.666..., 0.8)

    Reference: Li et al. 2016, section 5.2, https://arxiv.org/abs/1510.03055.
    """
    runs = []
    for text in texts:
        words = _WORD.findall(text.lower())
        runs += [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    return len(set(runs)) / len(runs) if runs else 0.0


def by_position(nats: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> list[tuple[int, int, float]]:
    """For each number of tokens that a model could read before the one it predicts: how many such tokens, their loss.

    Args:
        nats: one array a text, one number a token.
        places: alike, how many tokens of context each had.

    Example:

    >>> by_position([np.array([4.0, 2.0]), np.array([2.0])], [np.array([1, 2]), np.array([1])])
    [(1, 2, 3.0), (2, 1, 2.0)]
    """
    if not nats:
        return []
    values, where = np.concatenate(list(nats)), np.concatenate(list(places))
    counts, sums = np.bincount(where), np.bincount(where, values)
    return [(int(place), int(counts[place]), float(sums[place] / counts[place])) for place in np.flatnonzero(counts)]


def _total(nats: Sequence[np.ndarray]) -> float:
    return math.fsum(float(np.sum(each, dtype="float64")) for each in nats)
