"""IOB2 tags: which there are, which may follow which, and the likeliest well-formed sequence.

T tokens of a sentence, C tags, N sentences.
"""

from __future__ import annotations

import heapq
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


def ranked(scores: np.ndarray, classes: Sequence[str], count: int) -> list[tuple[list[str], float]]:
    """The best well-formed sequences of tags of one sentence with their probabilities, the best first.

    Args:
        scores: (T, C) logits. A sequence's probability is that of its scores' sum among all well-formed sequences.
        classes: the C tags.
        count: how many sequences, at most.

    Example:

    >>> [(tags, round(p, 3)) for tags, p in ranked(np.log([[0.6, 0.3, 0.1]]), ["O", "B-LOC", "I-LOC"], 9)]
    [(['O'], 0.667), (['B-LOC'], 0.333)]
    """
    begins, follows = transitions(classes)
    total = scores[0] + begins  # (C,) log of the sum over all sequences that end in each tag
    # for each tag the best sequences so far that end in it
    best: list[list[tuple[float, tuple[int, ...]]]] = [
        [(float(score), (tag,))] for tag, score in enumerate(scores[0] + begins)
    ]
    for step in scores[1:]:
        total = np.logaddexp.reduce(total[:, None] + follows, axis=0) + step
        best = [
            heapq.nlargest(
                count,
                (
                    (sum_ + follows[last, tag] + step[tag], (*path, tag))
                    for last in range(len(best))
                    for sum_, path in best[last]
                ),
            )
            for tag in range(len(classes))
        ]
    whole = float(np.logaddexp.reduce(total))
    found = heapq.nlargest(count, (entry for entries in best for entry in entries))
    likely = [(path, float(np.exp(sum_ - whole))) for sum_, path in found if sum_ > IMPOSSIBLE / 2]
    return [([classes[tag] for tag in path], probability) for path, probability in likely]


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
