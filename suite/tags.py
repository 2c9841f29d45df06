"""IOB2 tags: which there are, which may follow which, and the likeliest well-formed sequence.

T tokens of a sentence, C tags, N sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

OUTSIDE = "O"
IMPOSSIBLE = -1e9
CHUNK = 64  # sentences decoded at a time, so that one long sentence does not pad all others


def classes(seen: Iterable[str]) -> list[str]:
    """All tags for the entity types seen: O, then B- and I- of each type in alphabetical order.

    Example:

    >>> classes({"B-LOC", "O"})
    ['O', 'B-LOC', 'I-LOC']
    """
    types = sorted({tag.partition("-")[2] for tag in seen if tag != OUTSIDE})
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]


def transitions(classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Zero where a tag may begin a sentence (C,) or follow another (C, C: from, to), and -1e9 where it may not.

    I- of a type may follow only B- or I- of the same type.
    """
    inside = np.array([tag.startswith("I-") for tag in classes])
    kinds = np.array([tag.partition("-")[2] for tag in classes])
    begins = np.where(inside, IMPOSSIBLE, 0.0)
    follows = np.where(inside[None, :] & (kinds[:, None] != kinds[None, :]), IMPOSSIBLE, 0.0)
    return begins, follows


def viterbi(scores: Sequence[np.ndarray], begins: np.ndarray, follows: np.ndarray) -> list[np.ndarray]:
    """For each sentence the sequence of tags (T,) whose scores and transitions have the largest sum.

    Args:
        scores: one array (T, C) a sentence, such as log-probabilities or logits.
        begins: (C,) what is added for the first tag.
        follows: (C, C) what is added for each step from one tag to the next.
    """
    order = sorted(range(len(scores)), key=lambda i: len(scores[i]))
    paths: list[np.ndarray] = [np.empty(0, dtype=int)] * len(scores)
    for start in range(0, len(order), CHUNK):
        chosen = order[start : start + CHUNK]
        for index, path in zip(chosen, _viterbi([scores[i] for i in chosen], begins, follows), strict=True):
            paths[index] = path
    return paths


def decode(scores: Sequence[np.ndarray], classes: Sequence[str]) -> list[list[str]]:
    """For each sentence the best-scored tags that are well-formed together."""
    begins, follows = transitions(classes)
    return [[classes[number] for number in path] for path in viterbi(scores, begins, follows)]


def _viterbi(scores: Sequence[np.ndarray], begins: np.ndarray, follows: np.ndarray) -> list[np.ndarray]:
    lengths = np.array([len(score) for score in scores])
    longest, count = max(1, int(lengths.max())), len(begins)
    padded = np.zeros((len(scores), longest, count))  # (N, T, C)
    for row, score in zip(padded, scores, strict=True):
        row[: len(score)] = score
    best = padded[:, 0] + begins  # (N, C): the best sum that ends in each tag
    came_from = np.zeros((longest, len(scores), count), dtype=int)
    for t in range(1, longest):
        candidates = best[:, :, None] + follows  # (N, C from, C to)
        came_from[t] = candidates.argmax(axis=1)
        step = candidates.max(axis=1) + padded[:, t]
        best = np.where((t < lengths)[:, None], step, best)
    tags = best.argmax(axis=1)
    path = np.zeros((len(scores), longest), dtype=int)
    rows = np.arange(len(scores))
    for t in range(longest - 1, -1, -1):
        path[:, t] = tags
        tags = np.where(t < lengths, came_from[t, rows, tags], tags)
    return [row[:length] for row, length in zip(path, lengths, strict=True)]
