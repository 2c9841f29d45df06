"""Answers without a neural network: the sentence that shares most with the question, and in it what looks like one.

A question's first words tell what its answer looks like, such as a year, a number or a name; which words tell what, is
counted in training. Sentences are ranked by the TF-IDF weight of the words that they share with the question.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from suite.errors import InputError
from suite.metrics import spans as metrics

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

NO_ANSWER = "no answer"
FORMS = ("name", "year", "date", "number", "words")

GIVEN = 10  # candidates that a prediction holds
OPENING = (3, 2, 1, 0)  # how many first words of a question are looked up, the longest known beginning first
MIN_COUNT = 5  # a beginning is known if so many training questions have it
STEM = 5  # letters that related words share
THRESHOLDS = 20  # tried on validation
SAMPLE = 2000  # training examples by which the floor is chosen

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(rf"(?:\d{{1,2}} )?\b(?:{_MONTHS})\b(?: \d{{1,2}}\b)?(?:,? \d{{4}}\b)?")
_YEAR = re.compile(r"\b\d{4}\b(?![,.]\d)")
_NUMBER = re.compile(r"[$€£]?\b\d+(?:[.,]\d+)*\b%?")
_WORD = re.compile(r"\w+(?:['’.-]\w+)*")
_SENTENCE = re.compile(r"[^.!?。！？]*(?:[.!?。！？]+(?=\s|$)|[.!?。！？]+(?=\S)[^.!?。！？]*)*", re.DOTALL)
_LINKS = frozenset("of de la le du da di van von der den the and & y".split())
_STOPS = frozenset(
    "a an the of in on at to for from by with as is are was were be been being has have had do does did and or but "
    "that which who whom whose what when where why how it its he she his her they their this these those not no than "
    "then there into about also i you we all any some more most long ago since can could will would may".split()
)


class Span(NamedTuple):
    """A stretch of a text, and its form: what it looks like."""

    start: int
    end: int
    form: str


def matcher(train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int) -> Matcher:
    """Counts words and what answers look like in train; chooses on validation when to give no answer.

    Args:
        train: examples with ``context``, ``question`` and ``answers``.
        validation: the same. F1 on it chooses the share of the question's weight that a sentence must have.
        settings, seed: not used, since nothing else is chosen or drawn.

    Raises:
        InputError: train has no example.

    Example:

    >>> train = [{"context": "Bo was born in 1931. He ate.", "question": "When was Bo born?",
    ...           "answers": [{"text": "1931", "start": 15}]}] * 5
    >>> unseen = {"context": "It was 1066. Ada was born in 1815.", "question": "When was Ada born?", "answers": []}
    >>> matcher(train, [], None, 0)([unseen])[0][0]["answer"]
    '1815'

    Reference: Richardson, Burges and Renshaw 2013, "MCTest" (word overlap); Rajpurkar et al. 2016, section 5 (answers
    by type). Differs from both: sentences first, then types that are learned from counts.
    """
    if not train:
        raise InputError("nothing to train on: expected at least one training example")
    sentences = [
        _keys(context[start:end])
        for context in dict.fromkeys(example["context"] for example in train)
        for start, end in _sentences(context)
    ]
    counts = Counter(key for keys in sentences for key in keys)
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in train:
        for answer in example["answers"][:1]:
            for opening in _openings(example["question"]):
                forms[opening][form(answer["text"])] += 1
    fitted = Matcher(
        weights={key: math.log((1 + len(sentences)) / (1 + count)) for key, count in counts.items()},
        unseen=math.log(1 + len(sentences)),
        forms={
            opening: _most_common(found)
            for opening, found in forms.items()
            if not opening or found.total() >= MIN_COUNT
        },
        threshold=0.0,
        note="always an answer where there is a candidate",
    )
    if all(example["answers"] for example in validation):
        return fitted
    threshold = _threshold(fitted, validation)
    note = f"no answer where the best sentence has less than {threshold:.2f} of the question, chosen on validation f1"
    return dataclasses.replace(fitted, threshold=threshold, note=note)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matcher:
    """A fitted matcher: examples -> for each its answers, the best first, as the task's predictions come.

    Args:
        weights: word or stem -> its inverse frequency among training sentences.
        unseen: that of all others.
        forms: the beginning of a question -> what its answer looks like.
        threshold: the least share of the question's weight, from 0 to 1, that a sentence with an answer has.
        note: how the threshold was chosen.
    """

    weights: Mapping[str, float]
    unseen: float
    forms: Mapping[str, str]
    threshold: float
    note: str

    @property
    def parameters(self) -> int:
        """How many numbers were fitted to the training data."""
        return len(self.weights) + len(self.forms) + 2

    def __call__(self, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
        """The answers of each example."""
        predictions = []
        for example in examples:
            share, found = self.ranked(example)
            answers = [_answer(example["context"], span) for span in found[:GIVEN]]
            predictions.append([*answers, _NONE] if found and share >= self.threshold else [_NONE, *answers])
        return predictions

    def ranked(self, example: Example) -> tuple[float, list[Span]]:
        """The best sentence's share of the question's weight, and all candidates, the best first."""
        asked = _keys(example["question"])
        weight = sum(self._weight(key) for key in asked) or 1.0
        wanted = next(
            (self.forms[opening] for opening in _openings(example["question"]) if opening in self.forms), "name"
        )
        context, best, ranked = example["context"], 0.0, []
        for number, (start, end) in enumerate(_sentences(context)):
            shared = sum(self._weight(key) for key in _keys(context[start:end]) & asked) / weight
            best = max(best, shared)
            for span in spans(context, start, end):
                if not _keys(context[span.start : span.end]) <= asked:
                    away = _distance(context, start, end, span, asked)
                    ranked.append(((span.form != wanted, -shared, number, away, span.start), span))
        return best, [span for _, span in sorted(ranked)]

    def _weight(self, key: str) -> float:
        return self.weights.get(key, self.unseen)


def commonest(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Commonest:
    """The floor: one rule for all, what scores best on train: no answer, or the first name, number ... there is.

    Args:
        train: examples with ``context`` and ``answers``. F1 on the first `SAMPLE` of them decides.
        validation, settings, seed: not used, since nothing else is chosen or drawn.

    Raises:
        InputError: train has no example.

    Example:

    >>> train = [{"context": "Ada came.", "question": "Who came?", "answers": [{"text": "Ada", "start": 0}]}]
    >>> commonest(train, [], None, 0)([{"context": "It was Bo Lee.", "question": "Who was it?"}])[0][0]["answer"]
    'Bo Lee'
    """
    if not train:
        raise InputError("nothing to train on: expected at least one training example")
    sample = train[:SAMPLE]
    gold = [[answer["text"] for answer in example["answers"]] for example in sample]

    def f1(rule: str) -> float:
        return metrics.scores(gold, [answers[0]["answer"] for answers in Commonest(form=rule)(sample)])["f1"]

    return Commonest(form=max((NO_ANSWER, *FORMS), key=f1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Commonest:
    """A fitted floor: examples -> for each the first stretch of this form, or no answer where there is none.

    Args:
        form: one of `FORMS`, or `NO_ANSWER`.
    """

    form: str

    parameters = 1

    @property
    def note(self) -> str:
        """What it gives."""
        return "always no answer" if self.form == NO_ANSWER else f"the first {self.form} of the context"

    def __call__(self, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
        """The answers of each example."""
        predictions = []
        for example in examples:
            context = example["context"]
            found = (
                span
                for start, end in _sentences(context)
                for span in sorted(spans(context, start, end))
                if span.form == self.form
            )
            first = next(found, None)
            predictions.append([_NONE] if first is None else [_answer(context, first), _NONE])
        return predictions


def form(answer: str) -> str:
    """What an answer looks like: "date", "year", "number", "name" or "words".

    Example:

    >>> [form(answer) for answer in ("4 May 1931", "1931", "3,000 men", "Duke of York", "olive oil")]
    ['date', 'year', 'number', 'name', 'words']
    """
    answer = answer.strip()
    if _DATE.search(answer):
        return "date"
    if _YEAR.fullmatch(answer):
        return "year"
    if _NUMBER.match(answer):
        return "number"
    words = [word[0] for word in _WORD.finditer(answer)]
    return "name" if words and all(word[0].isupper() or word in _LINKS for word in words) else "words"


def spans(text: str, start: int, end: int) -> Iterator[Span]:
    """The candidates of every form in ``text[start:end]``, a sentence."""
    taken: list[tuple[int, int]] = []
    for name, pattern in (("date", _DATE), ("year", _YEAR), ("number", _NUMBER)):
        for found in pattern.finditer(text, start, end):
            if all(found.end() <= begin or stop <= found.start() for begin, stop in taken):
                taken.append(found.span())
                yield Span(*found.span(), name)
    words = [word for word in _WORD.finditer(text, start, end) if not word[0][0].isdigit()]
    kinds = ["name" if _is_name(word[0]) else "" if word[0].lower() in _STOPS else "words" for word in words]
    for first, last, kind in _runs(text, words, kinds):
        yield Span(words[first].start(), words[last].end(), kind)


def _is_name(word: str) -> bool:
    return word[0].isupper() and word.lower() not in _STOPS


def _runs(text: str, words: Sequence[re.Match[str]], kinds: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """The longest runs of neighbours of one kind; a name may have linking words inside."""
    first = 0
    while first < len(words):
        last, kind = first, kinds[first]
        for at in range(first + 1, len(words)):
            if text[words[at - 1].end() : words[at].start()].strip():
                break  # a punctuation mark
            if kinds[at] == kind:
                last = at
            elif kind != "name" or words[at][0] not in _LINKS:
                break
        if kind:
            yield first, last, kind
        first = last + 1


_NONE: dict[str, Any] = {"answer": "", "start": None, "end": None, "probability": None}


def _answer(context: str, span: Span) -> dict[str, Any]:
    return {"answer": context[span.start : span.end], "start": span.start, "end": span.end, "probability": None}


def _sentences(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _SENTENCE.finditer(text) if found[0].strip()]


def _keys(text: str) -> set[str]:
    """The words of a text that mean something, and their stems."""
    words = {word[0].casefold() for word in _WORD.finditer(text)} - _STOPS
    return words | {f"{word[:STEM]}-" for word in words if len(word) >= STEM}


def _openings(question: str) -> list[str]:
    words = [word[0].lower() for word in _WORD.finditer(question)]
    return [" ".join(words[:count]) for count in OPENING]


def _distance(context: str, start: int, end: int, span: Span, asked: set[str]) -> float:
    """Characters between a candidate and the words of its sentence that the question has, on average."""
    places = [word.start() for word in _WORD.finditer(context, start, end) if _keys(word[0]) & asked]
    return sum(abs(place - span.start) for place in places) / len(places) if places else 0.0


def _most_common(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name)) if counts else "name"


def _threshold(fitted: Matcher, validation: Sequence[Example]) -> float:
    found = [fitted.ranked(example) for example in validation]
    gold = [[answer["text"] for answer in example["answers"]] for example in validation]

    def f1(threshold: float) -> float:
        given = [
            example["context"][ranked[0].start : ranked[0].end] if ranked and share >= threshold else ""
            for example, (share, ranked) in zip(validation, found, strict=True)
        ]
        return metrics.scores(gold, given)["f1"]

    return max((step / THRESHOLDS for step in range(THRESHOLDS + 1)), key=f1)
