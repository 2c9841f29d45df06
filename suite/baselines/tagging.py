"""A tagger without a neural network: logistic regression over hand-made features, and the likeliest tags together.

Two regressions say how likely each tag of a word is: one whether the word is part of an entity, the other which tag it
has if it is. One regression over all tags finds as much and takes several times longer. The tags of a sentence are
then chosen together, by Viterbi's algorithm, from these probabilities and from what follows what in training.

N words of all sentences, F features, C tags.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from suite import tags as iob2
from suite.data import text
from suite.errors import InputError
from suite.metrics import entities as metrics

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

STRENGTHS = (1.0, 3.0)
"""Tried on validation: C, the inverse strength of the regularization."""

HANDICAPS = (0.0, 1.0, 2.0)
"""Tried on validation with each C: what is taken off the log-probability of O. Where entities are rare and their words
new, almost every word looks most like O, and few entities are found without it."""

ORDER = 0.3
"""The weight of the order of tags. Less than 1, since a word's probabilities have seen its neighbours already."""

CHARACTERS = (3, 4)  # lengths of the parts of words, where < and > stand for the beginning and the end
MIN_COUNT = 2  # features of fewer training words are left out
ITERATIONS = 100
SMALLEST = 1e-30  # a probability; float32 has some that are 0, and the logarithm of 0 could not be added up


def tagger(train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int) -> Tagger:
    """Fits the words' probabilities for each of `STRENGTHS`; keeps the one that, with one of `HANDICAPS`, finds most.

    Args:
        train: examples with ``tokens`` and IOB2 ``tags``.
        validation: the same. Entity F1 on it decides; of equals, the first is taken. It may be empty.
        settings: not used, since the features are fixed.
        seed: not used, since nothing is drawn at random.

    Raises:
        InputError: train has no word.

    Example:

    >>> train = [{"tokens": ["Dr", name], "tags": ["O", "B-PER"]} for name in ("Ada", "Bo", "Cy")]
    >>> tagger(train, [], None, 0)([{"tokens": ["Dr", "Di"]}])
    [['O', 'B-PER']]

    Reference: Ratinov and Roth, 2009, "Design challenges and misconceptions in named entity recognition". Differs from
    the paper: character n-grams instead of gazetteers and word clusters, and the order of tags from counts.
    """
    tags = [tag for example in train for tag in example["tags"]]
    if not tags:
        raise InputError("nothing to train on: expected training sentences of at least one token")
    classes = sorted(set(tags))
    begins, follows = _order([example["tags"] for example in train], classes)
    vectorizer, words = _vectorize(train, len(tags))
    unseen = vectorizer.transform(_features(validation))
    gold = [example["tags"] for example in validation]

    tried = []
    for strength in STRENGTHS:
        model = _Words.fit(words, np.array(tags), classes, strength)
        scores = model.log_probabilities(unseen)
        for handicap in HANDICAPS:
            candidate = Tagger(
                vectorizer=vectorizer,
                words=model,
                begins=begins,
                follows=follows,
                handicap=handicap,
                note=f"C={strength:g}, O handicap {handicap:g}, {'chosen on validation f1' if gold else 'not tuned'}",
            )
            tried.append((metrics.entity_scores(gold, candidate.choose(scores, validation))["f1"], candidate))
    return max(tried, key=lambda pair: pair[0])[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tagger:
    """A fitted tagger: examples with ``tokens`` -> for each a list of IOB2 tags, one a token.

    Args:
        vectorizer: words' features -> (N, F).
        words: (N, F) -> log-probabilities (N, C).
        begins: (C,) what is added for the first tag of a sentence.
        follows: (C, C: from, to) what is added for each step from one tag to the next.
        handicap: what is taken off the log-probability of O.
        note: how the hyper-parameters were chosen.
    """

    vectorizer: Any
    words: _Words
    begins: np.ndarray
    follows: np.ndarray
    handicap: float
    note: str

    @property
    def parameters(self) -> int:
        """How many numbers were fitted to the training data."""
        return self.words.parameters + self.begins.size + self.follows.size

    def __call__(self, examples: Sequence[Example]) -> list[list[str]]:
        """The tags of each example."""
        return self.choose(self.words.log_probabilities(self.vectorizer.transform(_features(examples))), examples)

    def choose(self, scores: np.ndarray, examples: Sequence[Example]) -> list[list[str]]:
        """The likeliest tags of each example together, given all words' log-probabilities (N, C)."""
        outside = [name == iob2.OUTSIDE for name in self.words.classes]
        ends = np.cumsum([len(example["tokens"]) for example in examples], dtype=int)
        sentences = np.split(scores - self.handicap * np.array(outside), ends)[:-1]
        paths = iob2.viterbi(sentences, self.begins, self.follows)
        return [[self.words.classes[number] for number in path] for path in paths]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Words:
    """How likely each tag of a word is: P(entity) P(tag | entity), each a regression, or a constant for a lone class.

    The second reads only the features (`used`) that some training word of an entity has; the others would stay 0.
    """

    classes: list[str]
    detector: Any
    namer: Any
    used: np.ndarray

    @classmethod
    def fit(cls, words: Any, tags: np.ndarray, classes: list[str], strength: float) -> _Words:
        entity = tags != iob2.OUTSIDE
        used = np.flatnonzero(words[entity].getnnz(axis=0))
        return cls(
            classes=classes,
            detector=_regression(words, entity, strength),
            namer=_regression(words[entity][:, used], tags[entity], strength) if entity.any() else None,
            used=used,
        )

    @property
    def parameters(self) -> int:
        return sum(array.size for model in (self.detector, self.namer) for array in _weights(model))

    def log_probabilities(self, words: Any) -> np.ndarray:
        scores = np.zeros((words.shape[0], len(self.classes)))  # (N, C)
        if not words.shape[0]:
            return scores
        detected = _log_probabilities(self.detector, words)  # (N, 2), or (N, 1) for a lone class
        for column, entity in enumerate(self.detector.classes_):
            if entity:
                columns = [self.classes.index(name) for name in self.namer.classes_]
                scores[:, columns] = detected[:, [column]] + _log_probabilities(self.namer, words[:, self.used])
            else:
                scores[:, self.classes.index(iob2.OUTSIDE)] = detected[:, column]
        return scores


def _regression(words: Any, labels: np.ndarray, strength: float) -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if len(set(labels)) == 1:
        return DummyClassifier(strategy="prior").fit(words, labels)
    # Threads gain nothing on vectors this short, and wait for one another where the machine is busy.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=ITERATIONS).fit(words, labels)


def _log_probabilities(model: Any, words: Any) -> np.ndarray:
    return np.log(np.maximum(model.predict_proba(words), SMALLEST))


def _weights(model: Any) -> list[np.ndarray]:
    return [model.coef_, model.intercept_] if hasattr(model, "coef_") else []


def _order(sentences: Iterable[Sequence[str]], classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """What to add for a first tag (C,) and for a step (C, C: from, to): how much likelier it makes the tag.

    That is `ORDER` (log P(tag | before) - log P(tag)), estimated with one added to every count, and -1e9 where IOB2
    forbids the step.
    """
    number = {name: i for i, name in enumerate(classes)}
    start = len(classes)
    counts = np.ones((start + 1, start))
    for sentence in sentences:
        for before, tag in zip([start, *(number[tag] for tag in sentence)], sentence, strict=False):
            counts[before, number[tag]] += 1
    likelier = np.log(counts / counts.sum(axis=1, keepdims=True)) - np.log(counts.sum(axis=0) / counts.sum())
    begins, follows = iob2.transitions(classes)
    return begins + ORDER * likelier[start], follows + ORDER * likelier[:start]


def _vectorize(train: Sequence[Example], count: int) -> tuple[Any, Any]:
    """Features -> columns, fitted on train, and the columns of its words (N, F)."""
    from sklearn.feature_extraction.text import CountVectorizer

    # Some feature is always left: the first word of each sentence, and the second, have the edge before them.
    vectorizer = CountVectorizer(analyzer=list, binary=True, min_df=min(MIN_COUNT, count), dtype=np.float32)
    return vectorizer, vectorizer.fit_transform(_features(train))


class _Word(NamedTuple):
    lower: str
    outline: str
    features: tuple[str, ...]


def _describe(word: str) -> _Word:
    """What a word tells by itself. Its neighbours see its lower case and its outline, a shape without repetitions."""
    lower, shape = word.lower(), text.shape(word)
    outline = re.sub(r"(.)\1+", r"\1", shape)
    framed = f"<{lower}>"
    parts = {f"part {framed[i : i + n]}" for n in CHARACTERS for i in range(len(framed) - n + 1)}
    own = (f"word {word}", f"lower {lower}", f"shape {shape}", f"outline {outline}", *sorted(parts))
    return _Word(lower, outline, own)


def _features(examples: Iterable[Example]) -> Iterator[tuple[str, ...]]:
    """For each word of each sentence the names of its features."""
    describe = functools.cache(_describe)
    edge = _Word("", "", ())
    for example in examples:
        words = [edge, edge, *map(describe, example["tokens"]), edge, edge]
        for a, b, word, c, d in zip(words, words[1:], words[2:], words[3:], words[4:], strict=False):
            yield (
                *word.features,
                *(f"{place} {near.lower}" for place, near in zip("abcd", (a, b, c, d), strict=True)),
                *(f"{place} outline {near.outline}" for place, near in zip("abcd", (a, b, c, d), strict=True)),
                f"b. {b.lower} {word.lower}",
                f".c {word.lower} {c.lower}",
                f"b. outline {b.outline} {word.outline}",
                f".c outline {word.outline} {c.outline}",
                f"b.c outline {b.outline} {word.outline} {c.outline}",
            )
