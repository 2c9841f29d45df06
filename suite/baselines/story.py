"""Answers about a story without a neural network: the last sentence that has to do with the question, and a regression.

Of the question's words, the rarest that the story has says what it is about; the last sentence with that word is the
fact. The answer follows from the words of both. That is all there is to know for one supporting fact, and what is
missing from it is what reasoning adds.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suite.baselines.classifier import Classifier
from suite.errors import InputError
from suite.metrics import classification as metrics

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

STRENGTHS = (1.0, 10.0)
"""Tried on validation: C, the inverse strength of the regularization."""

ITERATIONS = 60
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


def tokens(sentence: str) -> list[str]:
    """The words of a sentence in small letters, without punctuation.

    Example:

    >>> tokens("Where's Mary, then?")
    ["where's", 'mary', 'then']
    """
    return _WORD.findall(sentence.lower())


def classifier(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Classifier:
    """Fits a logistic regression over the words of the question, of its fact, and pairs of the two.

    Args:
        train: examples with ``story``, ``question`` and ``label``.
        validation: the same. Accuracy on it chooses one of `STRENGTHS`; of equals, the first. It may be empty.
        settings: not used, since the features are fixed.
        seed: not used, since nothing is drawn at random.

    Raises:
        InputError: there is no training example.

    Example:

    >>> train = [{"story": [f"{who} is in the hall.", f"{who} went to the {room}."], "question": f"Where is {who}?",
    ...     "label": room} for who in ("Ann", "Bob") for room in ("attic", "cellar")]
    >>> answer = classifier(train, [], None, 0)
    >>> max(answer([{"story": ["Ann ran to the cellar.", "Bob ran."], "question": "Where is Ann?"}])[0].items())[0]
    'cellar'
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

    if not len(train):
        raise InputError("nothing to train on: expected at least one training example")
    labels = [each["label"] for each in train]
    classes = tuple(sorted(set(labels)))
    features = Facts(_rarity(train))
    if len(classes) == 1:
        note = f"always {classes[0]}, the only class"
        return Classifier(features=features, model=None, classes=classes, parameters=0, note=note)
    gold = [each["label"] for each in validation]
    vectorizer = CountVectorizer(analyzer=list, binary=True)
    matrix = vectorizer.fit_transform(features(train))
    tried = []
    for strength in STRENGTHS if gold else STRENGTHS[:1]:
        # Threads gain nothing on vectors this short, and wait for one another where the machine is busy.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(matrix, labels)
        fitted = Classifier(
            features=features,
            model=Pipeline([("words", vectorizer), ("regression", model)]),
            classes=classes,
            parameters=model.coef_.size + model.intercept_.size,
            note=f"C={strength:g}, {'chosen on validation accuracy' if gold else 'not tuned'}",
        )
        answers = [metrics.best(found) for found in fitted(validation)]
        tried.append((sum(a == b for a, b in zip(answers, gold, strict=True)), fitted))
    return max(tried, key=lambda pair: pair[0])[1]


@dataclasses.dataclass(frozen=True)
class Facts:
    """Examples -> for each the names of its features: words of the question, of its fact, and pairs of both.

    Args:
        rarity: word -> in how many training sentences it stands.
    """

    rarity: Mapping[str, int]

    def __call__(self, examples: Sequence[Example]) -> list[list[str]]:
        """The features of each example."""
        return [self._describe(each) for each in examples]

    def fact(self, example: Example) -> list[str]:
        """The words of the last sentence with the rarest word of the question; of the last, where there is none."""
        story = [tokens(sentence) for sentence in example["story"]]
        said = {word for sentence in story for word in sentence}
        about = sorted(said & set(tokens(example["question"])), key=lambda word: (self.rarity.get(word, 0), word))
        matching = [sentence for sentence in story if about and about[0] in sentence]
        return (matching or story or [[]])[-1]

    def _describe(self, example: Example) -> list[str]:
        asked, fact = tokens(example["question"]), self.fact(example)
        kind = " ".join(asked[:2])
        return [f"asked {word}" for word in asked] + [f"fact {w}" for w in fact] + [f"{kind}: {w}" for w in fact]


def _rarity(train: Sequence[Example]) -> Counter[str]:
    """In how many different sentences of training stories each word stands."""
    sentences = {sentence for each in train for sentence in each["story"]}
    return Counter(word for sentence in sentences for word in set(tokens(sentence)))
