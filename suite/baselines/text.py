"""A text classifier without a neural network: words and pairs of words, weighed by TF-IDF, and logistic regression.

N texts, F features, C classes.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.baselines.classifier import Classifier
from suite.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Tried on validation: C, the inverse strength of the regularization."""

OTHERWISE = 3.0  # C where there is no validation
ITERATIONS = 200
WORD = r"\w+|[^\w\s]"  # marks of punctuation are words, too: "!" and "?" tell something


def classifier(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Classifier:
    """Fits the regression for each of `STRENGTHS`; keeps the one with the best accuracy on validation.

    Args:
        train: examples with ``text`` and ``label``.
        validation: the same. Of equals, the first is taken. It may be empty.
        settings: ``lowercase``, whether capitals are read as small letters.
        seed: not used, since nothing is drawn at random.

    Raises:
        InputError: train has no example.

    Example:

    >>> train = [{"text": text, "label": label} for text, label in (("so good", "yes"), ("so bad", "no"))]
    >>> fitted = classifier(train, [], None, 0)
    >>> fitted([{"text": "good!"}])[0]["yes"] > 0.5
    True

    Reference: Wang and Manning 2012, "Baselines and bigrams: simple, good sentiment and topic classification",
    https://aclanthology.org/P12-2018. Differs from the paper: TF-IDF, and regression instead of a support vector
    machine.
    """
    if not train:
        raise InputError("nothing to train on: expected at least one training text")
    labels = [example["label"] for example in train]
    classes = tuple(sorted(set(labels)))
    if len(classes) == 1:
        note = f"always {classes[0]}, the only class"
        return Classifier(features=_texts, model=None, classes=classes, parameters=0, note=note)
    words = Words.fit(train, lowercase=getattr(settings, "lowercase", True))
    features = words(train)  # (N, F)
    unseen = words(validation) if validation else None
    gold = [example["label"] for example in validation]
    models = {strength: _regression(features, labels, strength) for strength in (STRENGTHS if gold else (OTHERWISE,))}

    def score(strength: float) -> float:
        return float(np.mean(models[strength].predict(unseen) == gold)) if gold else 0.0

    best = max(models, key=score)
    return Classifier(
        features=words,
        model=models[best],
        classes=classes,
        parameters=models[best].coef_.size + models[best].intercept_.size,
        note=f"C={best:g}, {'chosen on validation accuracy' if gold else 'not tuned'}; {features.shape[1]:,} features",
    )


@dataclasses.dataclass(frozen=True)
class Words:
    """Examples -> the TF-IDF of their words and pairs of words, (N, F)."""

    vectorizer: Any

    @classmethod
    def fit(cls, train: Sequence[Example], *, lowercase: bool) -> Words:
        """Learns which words and pairs there are, and how rare each is.

        Raises:
            InputError: no training text has a word.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), token_pattern=WORD, lowercase=lowercase, sublinear_tf=True, dtype=np.float32
        )
        try:
            return cls(vectorizer.fit(_texts(train)))
        except ValueError as error:
            raise InputError(f"no training text has a word: {error}") from error

    def __call__(self, examples: Sequence[Example]) -> Any:
        """A sparse matrix, one row an example."""
        return self.vectorizer.transform(_texts(examples))


def _texts(examples: Sequence[Example]) -> list[str]:
    return [example["text"] for example in examples]


def _regression(features: Any, labels: Sequence[str], strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Threads gain nothing on vectors this sparse, and wait for one another where the machine is busy.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=ITERATIONS).fit(features, labels)
