"""Translations without a neural network: word for word by a dictionary that is learned from pairs; the source itself.

N pairs of words of which one stands in a sentence and the other in its translation; U of them differ.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from suite.errors import InputError
from suite.metrics import translation as metrics

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

ROUNDS = (2, 5, 10)
"""How often expectation and maximisation may be repeated; validation chooses."""

LARGEST = 30_000_000
"""N up to which the sums are kept in memory; a larger training set is read up to there."""

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")


def dictionary(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Dictionary:
    """Learns by co-occurrence which word of the target each word of the source stands for: IBM's model 1.

    ``p(target | source) = product over j of mean over i of t(target_j | source_i)``, fitted by expectation
    maximisation; each source word is then put into ``argmax t``. Words stay where they were, and so do blanks and
    punctuation marks.

    Args:
        train: examples with ``source`` and ``target``.
        validation: the same; their BLEU chooses among `ROUNDS`.
        settings, seed: not used, since nothing else is chosen or drawn.

    Raises:
        InputError: train has no example.

    Example:

    >>> pairs = [("a dog", "ein Hund"), ("a cat", "eine Katze"), ("the dog", "der Hund"), ("the cat", "die Katze")]
    >>> train = [{"source": source, "target": target} for source, target in pairs]
    >>> dictionary(train, [], None, 0)([{"source": "Dog, cat and mouse!"}])
    ['Hund, Katze and mouse!']

    Reference: Brown et al. 1993, "The mathematics of statistical machine translation", section 4.1. Differs from the
    paper: no empty source word.
    """
    if not train:
        raise InputError("nothing to train on: expected at least one training example")
    table = _Cooccurrences(train)

    def fitted(rounds: int) -> Dictionary:
        return Dictionary(words=table.learned(rounds), note=f"{rounds} rounds, chosen on validation bleu{table.note}")

    def bleu(found: Dictionary) -> float:
        return metrics.bleu(found(validation), [example["target"] for example in validation])

    return max(map(fitted, ROUNDS), key=bleu) if validation else fitted(ROUNDS[-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dictionary:
    """A fitted dictionary: examples -> their translations, word for word. Words that it does not know stay.

    Args:
        words: source word in small letters -> target word.
        note: how it was fitted.
    """

    words: Mapping[str, str]
    note: str

    @property
    def parameters(self) -> int:
        """How many words it holds."""
        return len(self.words)

    def __call__(self, examples: Sequence[Example]) -> list[str]:
        """The translation of each example."""
        return [self._translated(example["source"]) for example in examples]

    def _translated(self, source: str) -> str:
        found = _WORD.sub(lambda word: self.words.get(word[0].lower(), word[0]), source)
        return found[:1].upper() + found[1:] if source[:1].isupper() else found


def copy(train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int) -> Copy:
    """The floor: each source is its own translation.

    Args:
        train, validation, settings, seed: not used.

    Example:

    >>> copy([], [], None, 0)([{"source": "Anna?"}])
    ['Anna?']
    """
    return Copy()


@dataclasses.dataclass(frozen=True)
class Copy:
    """Examples -> their sources."""

    parameters = 0
    note = "the source as it is"

    def __call__(self, examples: Sequence[Example]) -> list[str]:
        """The source of each example."""
        return [example["source"] for example in examples]


class _Cooccurrences:
    """All pairs of a word and a word of its sentence's translation.

    Args:
        train: the examples.
    """

    def __init__(self, train: Sequence[Example]):
        known: tuple[dict[str, int], dict[str, int]] = {}, {}
        source, target, column = [_NONE], [_NONE], [_NONE]
        size = places = 0
        self.note = ""
        for count, example in enumerate(train):
            first = _numbered(_WORD.findall(example["source"].lower()), known[0])  # (S,)
            second = _numbered(_WORD.findall(example["target"]), known[1])  # (T,)
            size += len(first) * len(second)
            if size > LARGEST:
                self.note = f"; fitted on the first {count:,} training examples"
                break
            source.append(np.tile(first, len(second)))  # (S T,)
            target.append(np.repeat(second, len(first)))
            column.append(np.repeat(np.arange(places, places + len(second)), len(first)))
            places += len(second)
        self.names = tuple(list(words) for words in known)
        many = max(1, len(known[1]))
        keys, self.pair = np.unique(np.concatenate(source) * many + np.concatenate(target), return_inverse=True)
        self.source, self.target = keys // many, keys % many  # (U,)
        self.column = np.concatenate(column)  # (N,) the place of the target word

    def learned(self, rounds: int) -> dict[str, str]:
        """The likeliest target word of each source word after so many rounds."""
        chance = np.ones(len(self.source))  # (U,) t(target | source), in the beginning up to a factor
        for _ in range(rounds):
            weight = chance[self.pair]  # (N,)
            whole = np.bincount(self.column, weights=weight)[self.column]  # (N,)
            share = np.bincount(self.pair, weights=weight / whole, minlength=len(chance))  # (U,)
            chance = share / np.bincount(self.source, weights=share)[self.source]
        order = np.lexsort((self.target, -chance, self.source))  # of equal ones, the word that came first
        best = order[np.unique(self.source[order], return_index=True)[1]]
        return {self.names[0][s]: self.names[1][t] for s, t in zip(self.source[best], self.target[best], strict=True)}


_NONE = np.zeros(0, dtype="int64")


def _numbered(words: Sequence[str], known: dict[str, int]) -> np.ndarray:
    """Words by their numbers, in the order in which they came."""
    return np.array([known.setdefault(word, len(known)) for word in words], dtype="int64")
