"""Reasoning: a question about a short story, answered by one word of those that training has.

    story     Mary moved to the bathroom. Sandra journeyed to the bedroom. Mary got the football there.
    question  Where is the football?
    label     bathroom
    task      qa2

The questions of a dataset may be of several kinds, its tasks. Accuracy is the mean over the tasks of the share of
questions that are answered rightly, as the literature on bAbI reports it; the error is 1 - accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from suite import classification
from suite.baselines import majority
from suite.baselines import story as facts
from suite.config import Table
from suite.data import babi, text
from suite.errors import InputError
from suite.task import Architecture, Array, Encoded, Evaluation, Example, Spec, Task

if TYPE_CHECKING:
    import keras

_SENTENCE = re.compile(r"[^.!?\n]*[^.!?\s][^.!?\n]*[.!?]*")


class Features(Table):
    """`[features]`: what is read of a story, and how."""

    sentences: int = Field(32, gt=0, description="a longer story is read without its beginning")
    max_words: int = Field(24, gt=0, description="a longer sentence is read without its end")
    read: Literal["sentences", "words"] = Field(
        "sentences", description="what the architecture's sequence is: a vector for each sentence, or for each word"
    )
    words: int = Field(48, gt=0, description="the width of a word's vector")
    roles: int = Field(4, gt=0, description="how many weighted means of its words make up a sentence")
    asked: bool = Field(True, description="whether each sentence is read beside the question")
    dropout: float = Field(0.1, ge=0, lt=1)
    token_dropout: float = Field(0.0, ge=0, lt=1, description="share of training words that are read as unknown")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of a target that is spread over all classes")


def example(fields: Mapping[str, str]) -> Example:
    """A story and a question that somebody typed, as an example without its answer.

    Raises:
        InputError: one of them is empty.
    """
    sentences = [found.strip() for found in _SENTENCE.findall(fields["story"])]
    if not sentences:
        raise InputError("story: empty; expected sentences such as 'Mary took the milk. Mary went to the garden.'")
    if not facts.tokens(fields["question"]):
        raise InputError("question: empty; expected a question such as 'Where is the milk?'")
    return {"story": sentences, "question": fields["question"].strip()}


def groups(examples: Sequence[Example]) -> list[int]:
    """Questions about one story stay together; each is asked when more of the story is told."""
    numbers, before = [0], examples[0]["story"] if examples else []
    for each in examples[1:]:
        story = each["story"]
        numbers.append(numbers[-1] + (story[: len(before)] != before))
        before = story
    return numbers[: len(examples)]


def spec(train: Sequence[Example], features: Features) -> Spec:
    """Words and answers of the training examples."""
    known = {sentence for each in train for sentence in (*each["story"], each["question"])}
    read = [facts.tokens(sentence) for sentence in sorted(known)]
    length = min(features.max_words, max(map(len, read), default=1) or 1)
    vocabulary = text.vocabulary(word for words in read for word in words)
    return Spec(
        inputs={"words": Array((None, length), "int32")},
        target=Array((), "int32"),
        sizes={"words": len(vocabulary) + text.FIRST},
        classes=classification.classes(train),
        preprocessing={"words": vocabulary, "sentences": features.sentences},
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Stories as the numbers of their words, a row a sentence, the question last (S, J); notes count what is cut."""
    numbers = text.numbers(spec.preprocessing["words"])
    limit, length = spec.preprocessing["sentences"], spec.inputs["words"].shape[1] or 1
    cache: dict[str, tuple[np.ndarray, bool]] = {}

    def row(sentence: str) -> np.ndarray:
        if sentence not in cache:
            # A sentence of no words at all is still said, hence a row of one unknown word.
            found = [numbers.get(word, text.UNKNOWN) for word in facts.tokens(sentence)] or [text.UNKNOWN]
            cut = found[:length]
            cache[sentence] = np.array(cut + [text.PADDING] * (length - len(cut)), dtype="int32"), len(found) > length
        return cache[sentence][0]

    stories = [np.stack([row(said) for said in (*each["story"][-limit:], each["question"])]) for each in examples]
    long = [len(each["story"]) for each in examples if len(each["story"]) > limit]
    notes = []
    if long:
        notes.append(
            f"stories of more than {limit} sentences, read without their beginning: {len(long):,} of "
            f"{len(examples):,}, {sum(long) - limit * len(long):,} sentences left out"
        )
    if wide := sum(cut for _, cut in cache.values()):
        notes.append(f"different sentences of more than {length} words, read without their end: {wide:,}")
    return Encoded(inputs={"words": stories}, targets=classification.targets(examples, spec), notes=tuple(notes))


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """Vectors of sentences or words, the architecture, a score for each answer, read at the question."""
    from suite.heads import story

    return story.reader(
        spec,
        architecture,
        read=features.read,
        words=features.words,
        roles=features.roles,
        asked=features.asked,
        dropout=features.dropout,
        token_dropout=features.token_dropout,
    )


def evaluate(predictions: Sequence[Mapping[str, float]], examples: Sequence[Example]) -> Evaluation:
    """Mean accuracy over tasks, the error, each task's accuracy, and for each example what was answered."""
    plain = classification.evaluate(predictions, examples)
    outcomes = [{"task": each["task"], **outcome} for each, outcome in zip(examples, plain.outcomes, strict=True)]
    right: dict[str, list[bool]] = {}
    for outcome in outcomes:
        right.setdefault(outcome["task"], []).append(outcome["right"])
    tasks = {name: float(np.mean(right[name])) for name in sorted(right, key=_natural)}
    accuracy = float(np.mean(list(tasks.values())))
    scores: dict[str, float] = {
        "accuracy": accuracy,
        "error": 1.0 - accuracy,
        "calibration_error": plain.scores["calibration_error"],
    }
    if len(tasks) > 1:
        scores |= {f"accuracy/{name}": value for name, value in tasks.items()}
    return Evaluation(scores, outcomes)


def _natural(name: str) -> list[Any]:
    """Orders qa2 before qa10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]


TASK = Task(
    name="reasoning",
    schema="story,question->label",
    fields=("story", "question"),
    metric="accuracy",
    lower_is_better=frozenset({"error", "calibration_error"}),
    version=1,
    settings=Features,
    read=babi.read,
    example=example,
    labels=classification.labels,
    groups=groups,
    spec=spec,
    encode=encode,
    build=build,
    loss=classification.loss,
    calibrate=classification.calibrate,
    decode=classification.decode,
    evaluate=evaluate,
    show=classification.show,
    baselines={"classic": facts.classifier, "majority": majority.classifier},
)
