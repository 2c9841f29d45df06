"""Question answering: the stretch of a text that answers a question, or none where the text does not tell.

One example:

    context   Kessler AG is based in Turku. Anna Berg has a post at Kessler AG.
    question  Where is the employer of Anna Berg based?
    answer    Turku (characters 23 to 28)

The score is the F1 of the words that given and right answers share, as SQuAD's own scripts count it (Rajpurkar et al.
2016, "SQuAD: 100,000+ questions for machine comprehension of text"; Rajpurkar, Jia and Liang 2018, "Know what you don't
know: unanswerable questions for SQuAD").

A question and its context are one row: a place that stands for "no answer here", the question, a separator, the
context. A context that does not fit is read in several rows that overlap, so that no answer is out of reach.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, model_validator

from suite.baselines import spans as baselines
from suite.config import Table
from suite.data import matches, squad, subwords, windows
from suite.errors import InputError
from suite.metrics import spans as metrics
from suite.task import Answer, Architecture, Array, Encoded, Evaluation, Example, Spec, Task

if TYPE_CHECKING:
    import keras

NONE, SEPARATOR = "[NONE]", "[SEP]"
QUESTION, CONTEXT = 1, 2  # segments, as suite.heads.spans has them

GIVEN = 10
"""How many answers a prediction holds, beside no answer."""


class Features(Table):
    """`[features]`: what every architecture reads of a text. Widths are those of the embeddings."""

    vocabulary: int = Field(2000, gt=3, description="pieces of words that the tokenizer knows")
    pieces: int = Field(64, gt=0, description="width of a piece's vector")
    marks: int = Field(8, gt=0, description="width of the vectors of segment, match and shape, each")
    max_length: int = Field(384, gt=0, description="pieces of a row; a longer context is read in several")
    max_question: int = Field(64, gt=0, description="pieces of a question; a longer one loses its end")
    overlap: int = Field(128, ge=0, description="pieces of a context that two rows share")
    max_answer: int = Field(30, gt=0, description="pieces of the longest answer that is given")
    dropout: float = Field(0.1, ge=0, lt=1)
    token_dropout: float = Field(0.05, ge=0, lt=1, description="share of training pieces that are read as unknown")
    align: bool = Field(True, description="whether a place reads the question before the architecture does")

    @model_validator(mode="after")
    def _rows_hold_questions_and_answers(self) -> Self:
        room = self.max_length - self.max_question - 2
        if self.overlap >= room:
            raise ValueError(
                f"max_length {self.max_length} leaves {room} places beside a question of {self.max_question}, "
                f"and rows cannot overlap by {self.overlap}"
            )
        if self.max_answer > self.overlap + 1:
            raise ValueError(f"an answer of {self.max_answer} pieces would lie in no row: overlap is {self.overlap}")
        return self


def example(fields: Mapping[str, str]) -> Example:
    """A context and a question as typed."""
    for name in ("context", "question"):
        if not fields[name].strip():
            raise InputError(f"the {name} is empty; expected a text")
    return {"context": fields["context"], "question": fields["question"]}


def labels(example: Example) -> list[str]:
    """Whether there is an answer, so that test data with a kind that training had not is pointed out."""
    return ["an answer" if example["answers"] else "no answer"]


def groups(examples: Sequence[Example]) -> list[str]:
    """Questions about one text stay together."""
    return [example["context"] for example in examples]


def spec(train: Sequence[Example], features: Features) -> Spec:
    """A tokenizer of the training texts."""
    texts = [*dict.fromkeys(example["context"] for example in train), *(example["question"] for example in train)]
    tokenizer = subwords.train(texts, size=features.vocabulary, specials=(NONE, SEPARATOR))
    sizes = {
        "pieces": subwords.Subwords(tokenizer).size,
        "segments": 3,
        "matches": matches.MATCHES,
        "shapes": matches.SHAPES,
    }
    limits = ("max_length", "max_question", "overlap", "max_answer")
    return Spec(
        inputs={name: Array((None,), "int32") for name in sizes},
        target=Array((2,), "int32"),
        sizes=sizes,
        preprocessing={"tokenizer": tokenizer, **{name: getattr(features, name) for name in limits}},
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Rows of pieces, segments, matches and shapes, and where in each its answer begins and ends: 0, 0 for nowhere."""
    known = subwords.Subwords(spec.preprocessing["tokenizer"])
    begin, middle = (_mark(known.special(name)) for name in (NONE, SEPARATOR))
    limit = spec.preprocessing["max_question"]
    texts = [*{text: None for example in examples for text in (example["context"], example["question"])}]
    read = {t: matches.Text(t, p) for t, p in zip(texts, windows.pieces(known, texts), strict=True)}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in spec.inputs}
    targets, origins, counts = [], [], Counter[str]()
    for number, example in enumerate(examples):
        question, context = read[example["question"]], read[example["context"]]
        asked = _columns(question, context, QUESTION)[:, :limit]
        counts["long question"] += len(question.pieces.ids) > limit
        start = np.concatenate([begin, asked, middle], axis=1)
        told = _columns(context, question, CONTEXT)
        room = spec.preprocessing["max_length"] - start.shape[1]
        cuts = windows.cut(told.shape[1], room=room, overlap=spec.preprocessing["overlap"])
        counts["cut"] += len(cuts) > 1
        gold = _gold(example, context, spec, cuts, counts)
        for first, last in cuts:
            for name, row in zip(rows, np.concatenate([start, told[:, first:last]], axis=1), strict=True):
                rows[name].append(row)
            here = gold is not None and first <= gold[0] and gold[1] < last
            place = [each - first + start.shape[1] for each in gold] if gold and here else [0, 0]
            targets.append(np.array(place, dtype="int32"))
            origins.append(
                windows.Window(
                    example=number,
                    context=context.text,
                    offsets=context.pieces.offsets,
                    begin=first,
                    end=last,
                    first=start.shape[1],
                )
            )
    return Encoded(inputs=rows, targets=targets, origins=origins, notes=_notes(counts, spec, len(targets)))


def _mark(number: int) -> np.ndarray:
    """A special piece as a column, which belongs to the question."""
    return np.array([[number], [QUESTION], [matches.NOTHING], [1]], dtype="int32")


def _columns(text: matches.Text, other: matches.Text, segment: int) -> np.ndarray:
    """(4, T): pieces, segments, matches and shapes, in the order of `Spec.inputs`."""
    ids = text.pieces.ids
    return np.stack([ids, np.full_like(ids, segment), matches.matches(text, other), text.shapes])


def _gold(
    example: Example, context: matches.Text, spec: Spec, cuts: Sequence[tuple[int, int]], counts: Counter[str]
) -> tuple[int, int] | None:
    """The first and the last piece of the first right answer; what makes it hard to give is counted."""
    if not example.get("answers"):
        return None
    answer = example["answers"][0]
    begin, end = answer["start"], answer["start"] + len(answer["text"])
    gold = windows.covering(context.pieces.offsets, begin, end)
    if gold is None or not any(first <= gold[0] and gold[1] < last for first, last in cuts):
        counts["nowhere"] += 1
        return None
    counts["long answer"] += gold[1] - gold[0] >= spec.preprocessing["max_answer"]
    exact = context.pieces.offsets[gold[0], 0] == begin and context.pieces.offsets[gold[1], 1] == end
    counts["inside"] += not exact
    return gold


def _notes(counts: Counter[str], spec: Spec, rows: int) -> tuple[str, ...]:
    limits = spec.preprocessing
    meanings = {
        "cut": f"contexts of {{:,}} questions are longer than {limits['max_length']} pieces leave room for, and are "
        f"read in overlapping rows, {rows:,} in all",
        "long question": f"{{:,}} questions longer than {limits['max_question']} pieces lose their end",
        "long answer": f"{{:,}} answers are longer than {limits['max_answer']} pieces, the longest that is given",
        "nowhere": "{:,} answers lie whole in no row, and are taken for none in training",
        "inside": "{:,} answers begin or end inside a piece, and are given with all of it",
    }
    return tuple(text.format(counts[name]) for name, text in meanings.items() if counts[name])


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """A reader: embeddings, the architecture, scores for the first and the last place of the answer."""
    from suite.heads import spans

    return spans.reader(
        spec,
        pieces=features.pieces,
        marks=features.marks,
        dropout=features.dropout,
        token_dropout=features.token_dropout,
        align=features.align,
        architecture=architecture,
    )


def loss(features: Features) -> keras.Loss:
    """Cross-entropy of the first and of the last place, averaged over both and over rows."""
    from suite.losses import CrossEntropy

    return CrossEntropy()


def decode(outputs: Sequence[np.ndarray], encoded: Encoded, spec: Spec) -> list[list[Mapping[str, Any]]]:
    """For each example its likeliest answers, the best first, from all of its rows together."""
    bias = spec.preprocessing.get("no_answer", 0.0)
    tables = windows.scores(outputs, encoded.origins, longest=spec.preprocessing["max_answer"])
    return [windows.best(window, table, bias=bias, top=GIVEN) for window, table in tables]


def calibrate(
    outputs: Sequence[np.ndarray], encoded: Encoded, examples: Sequence[Example], spec: Spec
) -> tuple[Spec, str]:
    """Chooses by F1 what is added to the logit of no answer, as SQuAD's script for 2.0 chooses its threshold."""
    gold = [[answer["text"] for answer in example["answers"]] for example in examples]
    if all(gold):
        return _with_bias(spec, windows.NEVER), "always an answer, as on validation"
    version = metrics.version_of(gold)
    tables = windows.scores(outputs, encoded.origins, longest=spec.preprocessing["max_answer"])
    odds, gains = [], []
    for answers, (window, table) in zip(gold, tables, strict=True):
        found = windows.best(window, table, bias=windows.NEVER, top=1)[0]
        _, given = metrics.question(answers, str(found["answer"]), version=version)
        _, kept = metrics.question(answers, "", version=version)
        odds.append(table.max(initial=-np.inf))
        gains.append(kept - given)
    order = np.argsort(odds, kind="stable")
    ranked = np.array(odds)[order]
    total = np.concatenate([[0.0], np.cumsum(np.array(gains)[order])])  # what giving none for the first k is worth
    best = int(total.argmax())
    below = ranked[best - 1] if best else ranked[0] - 2.0
    above = ranked[best] if best < len(ranked) else ranked[-1] + 2.0
    bias = float(np.clip((below + above) / 2, windows.NEVER, -windows.NEVER))
    return _with_bias(spec, bias), f"no answer {bias:+.2f}, chosen on validation f1"


def _with_bias(spec: Spec, bias: float) -> Spec:
    return dataclasses.replace(spec, preprocessing={**spec.preprocessing, "no_answer": bias})


def evaluate(predictions: Sequence[Sequence[Mapping[str, Any]]], examples: Sequence[Example]) -> Evaluation:
    """SQuAD's scores, and for each question the answer given and the right ones."""
    gold = [[answer["text"] for answer in example["answers"]] for example in examples]
    given = [str(prediction[0]["answer"]) for prediction in predictions]
    version = metrics.version_of(gold)
    outcomes = []
    for example, answers, answer in zip(examples, gold, given, strict=True):
        exact, f1 = metrics.question(answers, answer, version=version)
        outcomes.append({"id": example.get("id", ""), "given": answer, "right": answers, "f1": f1, "exact": exact})
    return Evaluation(metrics.scores(gold, given), outcomes)


def slices(example: Example, known: Container[str] | None) -> dict[str, str]:
    """In which third of the context, by characters, the middle of the first right answer lies."""
    if not example["answers"]:
        return {"answer position": "none"}
    answer = example["answers"][0]
    middle = answer["start"] + len(answer["text"]) / 2
    third = min(int(3 * middle / len(example["context"])), 2)
    return {"answer position": ("first third", "middle third", "last third")[third]}


def show(prediction: Sequence[Mapping[str, Any]], example: Example, top: int) -> list[Answer]:
    """The likeliest answers with their places in the context."""
    return [{**answer, "answer": answer["answer"] or "(no answer)"} for answer in prediction[:top]]


TASK = Task(
    name="qa",
    schema=squad.SCHEMA,
    fields=("context", "question"),
    metric="f1",
    version=1,
    settings=Features,
    read=squad.read,
    example=example,
    labels=labels,
    groups=groups,
    spec=spec,
    encode=encode,
    build=build,
    loss=loss,
    decode=decode,
    calibrate=calibrate,
    evaluate=evaluate,
    slices=slices,
    show=show,
    baselines={"classic": baselines.matcher, "majority": baselines.commonest},
)
