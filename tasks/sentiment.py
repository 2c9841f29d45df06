"""Sentiment, topics, any text classification: each text gets one of the classes that training has.

    text   The jokes are funny, but nobody could call the plot credible.
    label  negative

The score is accuracy: the share of texts whose likeliest class is the right one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator

from suite import classification
from suite.baselines import majority
from suite.baselines import text as baselines
from suite.config import Table
from suite.data import delimited
from suite.data import words as counting
from suite.data.subwords import Subwords, train
from suite.errors import InputError
from suite.task import Architecture, Array, Encoded, Example, Spec, Task

if TYPE_CHECKING:
    import keras

NEGATORS = frozenset(
    "no not never none nobody nothing nowhere neither nor without cannot hardly scarcely barely".split()
)
"""English words that deny; so does any that ends in n't."""

UNKNOWN = 1  # what a text is read as in which nothing can be read, such as one of control characters alone


class Features(Table):
    """`[features]`: how texts are read, and what turns what was read into a class."""

    vocabulary: int = Field(8000, gt=2, description="the most pieces of words that are known, learned on train alone")
    lowercase: bool = Field(True, description="whether capitals are read as small letters")
    max_length: int = Field(256, gt=1, description="pieces; a longer text is read without its middle")
    embedding: int = Field(128, gt=0, description="the width of a piece's vector")
    pooling: list[Literal["mean", "max", "attention", "first"]] = Field(
        ["mean"], min_length=1, description="how a text's vectors become one; what several give stands side by side"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of the pooled features dropped in training")
    embedding_dropout: float = Field(0.1, ge=0, lt=1, description="share of the pieces' features dropped in training")
    token_dropout: float = Field(0.1, ge=0, lt=1, description="share of training pieces that are read as unknown")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of a target that is spread over all classes")

    @field_validator("pooling")
    @classmethod
    def _each_once(cls, pooling: list[str]) -> list[str]:
        if len(set(pooling)) < len(pooling):
            raise ValueError(f"pooling {pooling}: expected each way once")
        return pooling


def example(fields: Mapping[str, str]) -> Example:
    """A text that somebody typed, as an example without its label.

    Raises:
        InputError: there is nothing but blanks.
    """
    text = fields["text"]
    if not text.strip():
        raise InputError("text: empty; expected a text to classify")
    return {"text": text}


def spec(train_examples: Sequence[Example], features: Features) -> Spec:
    """Pieces of words, and the classes, of the training examples."""
    tokenizer = train((each["text"] for each in train_examples), size=features.vocabulary, lowercase=features.lowercase)
    return Spec(
        inputs={"tokens": Array((None,), "int32")},
        target=Array((), "int32"),
        sizes={"tokens": Subwords(tokenizer).size},
        classes=classification.classes(train_examples),
        preprocessing={"tokenizer": tokenizer, "max_length": features.max_length},
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Texts as the numbers of their pieces (T,); the notes count what was too long to be read whole."""
    limit = spec.preprocessing["max_length"]
    tokenizer = Subwords(spec.preprocessing["tokenizer"])
    found = [pieces.ids for pieces in tokenizer.encode_many([each["text"] for each in examples])]
    long = [len(ids) for ids in found if len(ids) > limit]
    left_out = sum(long) - limit * len(long)
    note = (
        f"texts of more than {limit:,} tokens, read without their middle: {len(long):,} of {len(found):,}, "
        f"{left_out:,} of {sum(map(len, found)):,} tokens left out"
    )
    return Encoded(
        inputs={"tokens": [_shortened(ids, limit) for ids in found]},
        targets=classification.targets(examples, spec),
        notes=(note,) if long else (),
    )


def _shortened(ids: np.ndarray, limit: int) -> np.ndarray:
    if len(ids) > limit:
        return np.concatenate([ids[: limit - limit // 2], ids[len(ids) - limit // 2 :]])
    return ids if len(ids) else np.array([UNKNOWN], dtype="int32")


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """Embeddings, the architecture, pooling, a score for each class."""
    from suite.heads import text

    return text.classifier(
        spec,
        architecture,
        embedding=features.embedding,
        pooling=features.pooling,
        dropout=features.dropout,
        embedding_dropout=features.embedding_dropout,
        token_dropout=features.token_dropout,
    )


def words(example: Example) -> list[str]:
    """The words of the text."""
    return counting.words(example["text"])


def slices(example: Example, known: Container[str] | None) -> dict[str, str]:
    """Whether the text denies something, in English (see `NEGATORS`), and how many of its words training never had."""
    found = words(example)
    denied = any(word in NEGATORS or word.replace("’", "'").endswith("n't") for word in found)
    return {"negation": "yes" if denied else "no", **counting.unknown(found, known)}


TASK = Task(
    name="sentiment",
    schema="text->label",
    fields=("text",),
    metric="accuracy",
    lower_is_better=frozenset({"calibration_error"}),
    version=1,
    settings=Features,
    read=delimited.read,
    example=example,
    labels=classification.labels,
    spec=spec,
    encode=encode,
    build=build,
    loss=classification.loss,
    calibrate=classification.calibrate,
    decode=classification.decode,
    evaluate=classification.evaluate,
    words=words,
    slices=slices,
    show=classification.show,
    baselines={"classic": baselines.classifier, "majority": majority.classifier},
)
