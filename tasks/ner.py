"""Named entities: each token of a sentence gets a tag that says which entity it begins or continues.

One example, tags in IOB2 notation (B- begins an entity, I- continues it, O is outside of any):

    tokens  Empire      State       Building    =  ESB         .
    tags    B-location  I-location  I-location  O  B-location  O

The score is entity F1: an entity counts only when its type and both of its ends are right (Tjong Kim Sang and De
Meulder 2003, "Introduction to the CoNLL-2003 shared task").
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from suite import tags
from suite.baselines import majority, tagging
from suite.config import Table
from suite.data import conll, text
from suite.errors import InputError
from suite.metrics import entities as metrics
from suite.task import Answer, Architecture, Array, Encoded, Evaluation, Example, Spec, Task

if TYPE_CHECKING:
    import keras


HANDICAPS = (0.0, 1.0, 2.0, 3.0)
"""Tried on validation: what is taken off the logit of O. Where entities are rare and their words new, almost every word
looks most like O, and few entities are found without it. The classic baseline chooses one as well."""


class Features(Table):
    """`[features]`: what every architecture reads of a word. Sizes are the widths of the embeddings."""

    words: int = Field(64, gt=0)
    characters: int = Field(32, gt=0)
    shapes: int = Field(16, gt=0)
    min_count: int = Field(2, gt=0, description="words seen fewer times in training share the unknown word's embedding")
    max_characters: int = Field(20, gt=1, description="a longer word keeps its beginning and its end")
    dropout: float = Field(0.3, ge=0, lt=1)
    token_dropout: float = Field(0.1, ge=0, lt=1, description="share of training words that are read as unknown")


def spec(train: Sequence[Example], features: Features) -> Spec:
    """Vocabularies and tags of the training examples."""
    tokens = [token for example in train for token in example["tokens"]]
    seen = {tag for example in train for tag in example["tags"]}
    preprocessing: dict[str, Any] = {
        "words": text.vocabulary(map(text.normalize, tokens), min_count=features.min_count),
        "characters": text.vocabulary(character for token in tokens for character in token),
        "shapes": text.vocabulary(map(text.shape, tokens), min_count=2),
        "max_characters": features.max_characters,
    }
    return Spec(
        inputs={
            "words": Array((None,), "int32"),
            "shapes": Array((None,), "int32"),
            "characters": Array((None, features.max_characters), "int32"),
        },
        target=Array((None,), "int32"),
        sizes={name: len(preprocessing[name]) + text.FIRST for name in ("words", "characters", "shapes")},
        classes=tuple(tags.classes(seen)),
        preprocessing=preprocessing,
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Sentences as three arrays a sentence: words (T,), shapes (T,), characters (T, C)."""
    known = {name: text.numbers(spec.preprocessing[name]) for name in ("words", "characters", "shapes")}
    limit = spec.preprocessing["max_characters"]
    classes = {name: number for number, name in enumerate(spec.classes)}
    cache: dict[str, tuple[int, int, np.ndarray]] = {}

    def look_up(token: str) -> tuple[int, int, np.ndarray]:
        if token not in cache:
            cache[token] = (
                known["words"].get(text.normalize(token), text.UNKNOWN),
                known["shapes"].get(text.shape(token), text.UNKNOWN),
                text.characters(token, known["characters"], limit=limit),
            )
        return cache[token]

    found = [[look_up(token) for token in example["tokens"]] for example in examples]
    long = sum(len(token) > limit for example in examples for token in example["tokens"])
    return Encoded(
        inputs={
            "words": [np.array([word for word, _, _ in sentence], dtype="int32") for sentence in found],
            "shapes": [np.array([shape for _, shape, _ in sentence], dtype="int32") for sentence in found],
            "characters": [np.stack([characters for _, _, characters in sentence]) for sentence in found],
        },
        # Only training targets are compared with anything, and training has no tag that is not a class.
        targets=[
            np.array([classes.get(tag, 0) for tag in example.get("tags", example["tokens"])], dtype="int32")
            for example in examples
        ],
        notes=(f"words of more than {limit} characters, read without their middle: {long:,}",) if long else (),
    )


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """A tagger: embeddings of words, characters and shapes, the architecture, logits for each tag."""
    from suite.heads import tagging

    return tagging.tagger(
        spec,
        words=features.words,
        characters=features.characters,
        shapes=features.shapes,
        dropout=features.dropout,
        token_dropout=features.token_dropout,
        width=architecture.width,
        encoder=architecture.encode,
    )


def loss(features: Features) -> keras.Loss:
    """Cross-entropy, averaged over real tokens."""
    from suite.losses import CrossEntropy

    return CrossEntropy()


def calibrate(
    logits: Sequence[np.ndarray], encoded: Encoded, examples: Sequence[Example], spec: Spec
) -> tuple[Spec, str]:
    """Chooses O's handicap by entity F1: of `HANDICAPS` the first that is best."""

    def score(handicap: float) -> float:
        return evaluate(decode(logits, encoded, _with_handicap(spec, handicap)), examples).scores["f1"]

    best = max(HANDICAPS, key=score)
    return _with_handicap(spec, best), f"O handicap {best:g}, chosen on validation f1"


def decode(logits: Sequence[np.ndarray], encoded: Encoded, spec: Spec) -> list[Tagging]:
    """The likeliest tags that are well-formed together: an I- never stands without its B-."""
    outside = np.array([tag == tags.OUTSIDE for tag in spec.classes])
    handicap = spec.preprocessing.get("handicap", 0.0) * outside
    scores = [sentence - handicap for sentence in logits]
    return list(map(Tagging, tags.decode(scores, spec.classes), scores, [spec.classes] * len(scores)))


class Tagging(list):
    """A sentence's tags, and the scores (T, C) of all classes from which they were chosen."""

    def __init__(self, chosen: Sequence[str], scores: np.ndarray, classes: Sequence[str]):
        super().__init__(chosen)
        self.scores = scores
        self.classes = classes


def _with_handicap(spec: Spec, handicap: float) -> Spec:
    return dataclasses.replace(spec, preprocessing={**spec.preprocessing, "handicap": handicap})


def evaluate(predictions: Sequence[Sequence[str]], examples: Sequence[Example]) -> Evaluation:
    """Entity scores, and for each sentence the entities that were right, missed and made up."""
    scores = metrics.entity_scores([example["tags"] for example in examples], predictions)
    outcomes = []
    for example, predicted in zip(examples, predictions, strict=True):
        gold, found = set(metrics.entities(example["tags"])), set(metrics.entities(predicted))
        outcomes.append(
            {
                "tokens": len(example["tokens"]),
                "tokens_right": sum(a == b for a, b in zip(example["tags"], predicted, strict=True)),
                "right": sorted(gold & found),
                "missed": sorted(gold - found),
                "invented": sorted(found - gold),
            }
        )
    return Evaluation(scores, outcomes)


def words(example: Example) -> list[str]:
    """The tokens in small letters."""
    return [token.casefold() for token in example["tokens"]]


def slices(example: Example, known: Container[str] | None) -> dict[str, str]:
    """Whether training has all words of the sentence's entities, in whatever sentence and with whatever tag."""
    if known is None:
        return {}
    found, entities = words(example), metrics.entities(example["tags"])
    seen = all(word in known for start, stop, _ in entities for word in found[start:stop])
    return {"entity words": "no entity" if not entities else "seen" if seen else "unseen"}


def example(fields: Mapping[str, str]) -> Example:
    """A sentence as it is typed, cut into words and punctuation marks.

    Raises:
        InputError: it has no word.
    """
    tokens = re.findall(r"\w+(?:[-'’.]\w+)*|[^\w\s]", fields["text"])
    if not tokens:
        raise InputError("expected a sentence of at least one word")
    return {"tokens": tokens}


def show(prediction: Sequence[str], example: Example, top: int) -> list[Answer]:
    """The `top` likeliest readings of a sentence, each with its entities."""
    readings: list[tuple[list[str], float | None]] = [(list(prediction), None)]
    if isinstance(prediction, Tagging):
        readings = [*tags.ranked(prediction.scores, prediction.classes, top)]
    return [_answer(example["tokens"], found, probability) for found, probability in readings]


def _answer(tokens: Sequence[str], found: Sequence[str], probability: float | None) -> Answer:
    entities = [
        {"type": kind, "text": " ".join(tokens[start:stop]), "start": start, "stop": stop}
        for start, stop, kind in metrics.entities(found)
    ]
    words = list(tokens)
    for start, stop, kind in metrics.entities(found):
        words[start] = f"[{words[start]}"
        words[stop - 1] += f" {kind}]"
    return {"answer": " ".join(words), "probability": probability, "entities": entities}


TASK = Task(
    name="ner",
    schema="tokens->tags",
    fields=("text",),
    metric="f1",
    version=1,
    settings=Features,
    read=conll.read,
    example=example,
    labels=lambda example: example["tags"],
    spec=spec,
    encode=encode,
    build=build,
    loss=loss,
    calibrate=calibrate,
    decode=decode,
    evaluate=evaluate,
    words=words,
    slices=slices,
    show=show,
    baselines={"classic": tagging.tagger, "majority": majority.tagger},
)
