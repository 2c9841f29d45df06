"""Texts as one long row of tokens, as language models read them.

    start, tokens of a text, start, tokens of the next text ...

A start token begins each text; pieces of one text that follow each other (`suite.data.prose.follows`) go on without
one. The row is a ring: after the last token comes the first start token again, which so ends the last text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from suite.data import bpe, characters, prose
from suite.data.bpe import Pieces
from suite.data.characters import Characters

Level = Literal["characters", "subwords"]
Tokenizer = Characters | Pieces

START = "[START]"

_LEVELS: Mapping[str, tuple[Any, Any]] = {"characters": (characters, Characters), "subwords": (bpe, Pieces)}


class Stream(NamedTuple):
    """Texts as tokens.

    Args:
        tokens: (N,) int32.
        owners: (N,) for each token the number of its example; -1 for a start token.
    """

    tokens: np.ndarray
    owners: np.ndarray


def learn(texts: Sequence[str], *, level: Level, size: int) -> str:
    """A tokenizer of training texts as JSON, for `tokenizer`. See `suite.data.bpe` and `suite.data.characters`."""
    return _LEVELS[level][0].train(texts, size=size, specials=(START,))


def tokenizer(json: str, *, level: Level) -> Tokenizer:
    """The tokenizer that `learn` gave."""
    return _LEVELS[level][1](json)


def join(examples: Sequence[Mapping[str, Any]], known: Tokenizer) -> Stream:
    """The texts of examples in their order.

    Example:

    >>> known = tokenizer(learn(["ab"], level="characters", size=9), level="characters")
    >>> stream = join([{"text": "ab"}, {"text": "b"}], known)
    >>> stream.tokens.tolist(), stream.owners.tolist()
    ([2, 3, 4, 2, 4], [-1, 0, 0, -1, 1])
    """
    start = np.array([known.special(START)], dtype="int32")
    tokens: list[np.ndarray] = []
    owners: list[Any] = []
    before: Mapping[str, Any] = {}
    for number, (example, ids) in enumerate(zip(examples, known.encode_many(_texts(examples)), strict=True)):
        goes_on = prose.follows(before, example)
        tokens += [ids] if goes_on else [start, ids]
        owners += [np.full(len(ids), number)] if goes_on else [[-1], np.full(len(ids), number)]
        before = example
    if not tokens:
        return Stream(np.empty(0, "int32"), np.empty(0, "int64"))
    return Stream(np.concatenate(tokens), np.concatenate(owners).astype("int64"))


def by_example(values: np.ndarray, owners: np.ndarray, count: int) -> list[np.ndarray]:
    """What was found for each token of a row -> for each of `count` examples its own, in their order."""
    mine = owners >= 0
    lengths = np.bincount(owners[mine], minlength=count)
    return np.split(values[mine], np.cumsum(lengths)[:-1]) if count else []


def _texts(examples: Sequence[Mapping[str, Any]]) -> list[str]:
    return [example["text"] for example in examples]
