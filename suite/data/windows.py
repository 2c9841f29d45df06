"""Long texts in overlapping windows, and back: from places in windows to stretches of the text.

N pieces of a text, L places of a window's row, A the most pieces of an answer.
"""

from __future__ import annotations

import dataclasses
import itertools
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from suite.data.subwords import Pieces, Subwords

NEVER = -1e6
"""What is added to the logit of no answer where there is always one."""

_UNKNOWN = 1
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """A piece of an example's context, which stands in one row of the model's input.

    Args:
        example: the place of its example in the split.
        context: the whole text.
        offsets: (N, 2) where all pieces of the text begin and end.
        begin, end: which of them the window holds: ``offsets[begin:end]``.
        first: the row's place of the first of them. Place 0 of the row stands for "no answer here".
    """

    example: int
    context: str
    offsets: np.ndarray
    begin: int
    end: int
    first: int


def pieces(subwords: Subwords, texts: Sequence[str]) -> list[Pieces]:
    """The texts in pieces, what the tokenizer does not know character by character.

    So no answer is hidden inside a longer unknown piece, such as a sentence in a script that has no spaces. A
    character keeps its combining marks. No piece has number 0, which is padding.

    Example:

    >>> from suite.data import subwords
    >>> known = Subwords(subwords.train(["in the"], size=20))
    >>> [found] = pieces(known, ["in 東京"])
    >>> ["in 東京"[begin:end] for begin, end in found.offsets]
    ['in', '東', '京']
    """
    return [_refined(found, text) for found, text in zip(subwords.encode_many(texts), texts, strict=True)]


def _refined(found: Pieces, text: str) -> Pieces:
    ids = np.maximum(found.ids, _UNKNOWN)  # the name of a special token, typed in a text, is only unknown
    lengths = found.offsets[:, 1] - found.offsets[:, 0]
    plain = text.isascii() or not any(map(_joins, text))
    if plain and not ((ids == _UNKNOWN) & (lengths > 1)).any():
        return Pieces(ids, found.offsets)
    numbers: list[int] = []
    offsets: list[tuple[int, int]] = []
    begins = [*found.offsets[1:, 0].tolist(), len(text)]
    for number, (begin, end), following in zip(ids.tolist(), found.offsets.tolist(), begins, strict=True):
        # The tokenizer may read a letter without its marks, and no answer ends between them.
        while end < following and _joins(text[end]):
            end += 1
        edges = [begin, end]
        if number == _UNKNOWN:
            inner = (at for at in range(begin + 1, end) if not (_joins(text[at]) or text[at - 1] == "\u200d"))
            edges = [begin, *inner, end]
        offsets += itertools.pairwise(edges)
        numbers += [number] * (len(edges) - 1)
    return Pieces(np.array(numbers, dtype="int32"), np.array(offsets, dtype="int64").reshape(-1, 2))


def _joins(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")


def cut(length: int, *, room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows of at most `room` places, each but the first beginning with the last `overlap` places of the one before.

    Every stretch of up to ``overlap + 1`` places lies whole in one of them. A length of 0 gives one empty window.

    Raises:
        ValueError: unless ``0 <= overlap < room``.

    Example:

    >>> cut(10, room=6, overlap=2)
    [(0, 6), (4, 10)]
    """
    if not 0 <= overlap < room:
        raise ValueError(f"cut expects 0 <= overlap < room. Received: overlap={overlap}, room={room}")
    windows = [(0, min(room, length))]
    while windows[-1][1] < length:
        begin = windows[-1][1] - overlap
        windows.append((begin, min(begin + room, length)))
    return windows


def covering(offsets: np.ndarray, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last piece that share a character with ``text[start:end]``; `None` where no piece does."""
    found = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))
    return (int(found[0]), int(found[-1])) if len(found) else None


def scores(
    outputs: Sequence[np.ndarray], windows: Sequence[Window], *, longest: int
) -> Iterator[tuple[Window, np.ndarray]]:
    """For one example after another the logit of each stretch of its context, beside that of no answer, which is 0.

    A window's scores for its first and last place add up; what its place 0 has is taken off, so that windows can be
    compared, each of which was trained to say "not here" there. A stretch that several windows hold has the best score.

    Args:
        outputs: for each window (2, L) logits of where the answer begins and ends.
        windows: what the rows hold, those of an example side by side.
        longest: A.

    Yields:
        A window of the example, and (N, A): how likely an answer is that begins with this piece and has so many more;
        minus infinity where no window holds it.
    """
    rows = zip(outputs, windows, strict=True)
    for _, group in itertools.groupby(rows, key=lambda row: row[1].example):
        members = list(group)
        window = members[0][1]
        table = np.full((len(window.offsets), longest), -np.inf)
        for output, each in members:
            _add(table[each.begin : each.end], output[:, each.first :], none=float(output[:, 0].sum()))
        yield window, table


def _add(table: np.ndarray, output: np.ndarray, *, none: float) -> None:
    """Takes what a window says of its places (2, n or more) into their rows of the table (n, A)."""
    begins, ends = output[:, : len(table)].astype("float64")
    for more in range(min(table.shape[1], len(table))):
        fits = len(table) - more
        here = begins[:fits] + ends[more:] - none
        np.maximum(table[:fits, more], here, out=table[:fits, more])


def best(window: Window, table: np.ndarray, *, bias: float, top: int) -> list[Mapping[str, object]]:
    """The likeliest answers, the best first, no answer always among them.

    Args:
        window, table: from `scores`.
        bias: what is added to the logit of no answer.
        top: how many stretches of the context there are at most.

    Returns:
        ``{"answer", "start", "end", "probability"}``: ``context[start:end]`` is the answer. No answer is empty and has
        neither start nor end. The probabilities of all stretches and of no answer sum to 1.
    """
    flat = table.ravel()
    highest = max(float(flat.max(initial=-np.inf)), bias)
    weights = np.exp(flat - highest)
    none = np.exp(bias - highest)
    total = weights.sum() + none
    order = np.argsort(-weights, kind="stable")[:top] if len(flat) <= top else _largest(weights, top)
    answers: list[Mapping[str, object]] = []
    for place in order[np.isfinite(flat[order])]:
        begin, more = divmod(int(place), table.shape[1])
        start, end = int(window.offsets[begin, 0]), int(window.offsets[begin + more, 1])
        answers.append(_answer(window.context[start:end], start, end, weights[place] / total))
    answers.append(_answer("", None, None, none / total))
    if bias > flat.max(initial=-np.inf):
        answers.insert(0, answers.pop())
    return answers


def _answer(text: str, start: int | None, end: int | None, probability: float) -> Mapping[str, object]:
    return {"answer": text, "start": start, "end": end, "probability": float(probability)}


def _largest(weights: np.ndarray, count: int) -> np.ndarray:
    some = np.sort(np.argpartition(-weights, count)[:count])
    return some[np.argsort(-weights[some], kind="stable")]
