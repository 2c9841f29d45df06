"""The floor that every model has to clear: the answer that was most frequent in training."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suite.data.lazy import light
from suite.errors import InputError
from suite.metrics.classification import best

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example


def tagger(train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int) -> Tagger:
    """Counts the tags of each word in train.

    Where several tags are as frequent for a word, the most frequent of them in all of train wins, and of several again
    the first in the alphabet.

    Args:
        train: examples with ``tokens`` and ``tags``.
        validation, settings, seed: not used, since there is nothing to choose.

    Raises:
        InputError: train has no word.

    Example:

    >>> train = [{"tokens": ["Paris", "is", "big"], "tags": ["B-LOC", "O", "O"]}]
    >>> tagger(train, [], None, 0)([{"tokens": ["Is", "Paris", "big"]}])
    [['O', 'B-LOC', 'O']]
    """
    of_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
    overall: Counter[str] = Counter()
    for example in train:
        overall.update(example["tags"])
        for token, tag in zip(example["tokens"], example["tags"], strict=True):
            of_word[token][tag] += 1
    if not overall:
        raise InputError("nothing to train on: expected training sentences of at least one token")

    def most_frequent(counts: Counter[str]) -> str:
        return min(counts, key=lambda tag: (-counts[tag], -overall[tag], tag))

    return Tagger(
        known={word: most_frequent(counts) for word, counts in of_word.items()}, otherwise=most_frequent(overall)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tagger:
    """A fitted tagger: examples with ``tokens`` -> for each a list of tags, one a token.

    Args:
        known: word -> its tag.
        otherwise: the tag of all other words.
    """

    known: Mapping[str, str]
    otherwise: str

    @property
    def parameters(self) -> int:
        """How many tags were learned: one for each word, and that of unknown words."""
        return len(self.known) + 1

    @property
    def note(self) -> str:
        """What unknown words get."""
        return f"unknown words get {self.otherwise}"

    def __call__(self, examples: Sequence[Example]) -> list[list[str]]:
        """The tags of each example."""
        return [[self.known.get(token, self.otherwise) for token in example["tokens"]] for example in examples]


def classifier(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Frequencies:
    """Gives every example the classes' frequencies in train; of several as frequent, the first in the alphabet wins.

    Args:
        train: examples with ``label``.
        validation, settings, seed: not used, since there is nothing to choose.

    Raises:
        InputError: train has no example.

    Example:

    >>> classifier([{"label": "yes"}, {"label": "no"}, {"label": "yes"}, {"label": "yes"}], [], None, 0)([{}])
    [{'no': 0.25, 'yes': 0.75}]
    """
    counts = Counter(example["label"] for example in light(train))
    if not counts:
        raise InputError("nothing to train on: expected at least one training example")
    total = counts.total()
    return Frequencies({label: count / total for label, count in sorted(counts.items())})


@dataclasses.dataclass(frozen=True)
class Frequencies:
    """A fitted floor: any examples -> for each the same classes and probabilities."""

    probabilities: Mapping[str, float]

    @property
    def parameters(self) -> int:
        """How many frequencies were counted."""
        return len(self.probabilities)

    @property
    def note(self) -> str:
        """The answer."""
        answer = best(self.probabilities)
        return f"always {answer}, {self.probabilities[answer]:.1%} of training"

    def __call__(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The probabilities of each example's classes."""
        return [dict(self.probabilities) for _ in examples]
