"""What happened on each test example of a run, and the sums from which its scores are made.

A run's directory holds `outcomes.jsonl`, one JSON object for each example of the test split, in its order. What the
objects hold is the task's affair; here they are known by their keys alone, so that a task from elsewhere takes part if
it uses the same ones:

    right (true or false)                    accuracy and error; with "task", the mean over the tasks
    label, answer                            macro_f1
    right, missed, invented (lists)          precision, recall and f1 of entities, of one type as f1/TYPE
    tokens, tokens_right                     accuracy, where `right` is a list
    nats, tokens, characters                 loss, perplexity, bits_per_character
    given, right (texts)                     bleu; exact as exact_match
    a number or truth value named as the metric   its mean

No score is trusted: only where the sums give the very value that the board holds are they used.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

Outcome = Mapping[str, Any]
Combine = Callable[[np.ndarray], np.ndarray]

_NEAR = 1e-4  # relative: scores on boards may be rounded
_MOST_CLASSES = 500
_ORDER = 4


@dataclasses.dataclass(frozen=True)
class Scores:
    """A score in parts.

    Args:
        parts: (N, K) for each example the numbers that are summed up.
        combine: sums (..., K) -> scores (...).
        plain: whether the score is the share of examples that are right, so that McNemar's test applies.
    """

    parts: np.ndarray
    combine: Combine
    plain: bool = False

    @property
    def value(self) -> float:
        """The score of all examples."""
        return float(self.combine(self.parts.sum(axis=0)))

    def drawn(self, weights: np.ndarray) -> np.ndarray:
        """The scores (B,) where each example counts as often as `weights` (B, N) says.

        Where the weights are for fewer blocks than there are examples, each block counts as often. Examples are dealt
        to blocks like cards, the same ones for all runs.
        """
        blocks = weights.shape[1]
        if blocks == len(self.parts):
            return self.combine(weights @ self.parts)
        order = np.random.default_rng(0).permutation(len(self.parts))
        sums = np.zeros((blocks, self.parts.shape[1]))
        np.add.at(sums, np.arange(len(order)) % blocks, self.parts[order])
        return self.combine(weights @ sums)


def read(runs: Sequence[Path], run_id: str) -> list[dict[str, Any]] | None:
    """A run's outcomes from the first of the folders that has them; `None` where none has, or they are damaged."""
    if not is_name(run_id):
        return None
    for folder in runs:
        try:
            text = (folder / run_id / "outcomes.jsonl").read_text("utf8")
        except (OSError, UnicodeDecodeError):
            continue
        try:
            found = json.loads(f"[{','.join(filter(None, text.split(chr(10))))}]")
        except ValueError:
            continue
        if found and all(isinstance(each, dict) for each in found):
            return found
    return None


def is_name(run_id: str) -> bool:
    """Whether an id can be the name of a directory; no other leads anywhere.

    Example:

    >>> is_name("r1"), is_name(".."), is_name("/etc")
    (True, False, False)
    """
    return run_id not in ("", ".", "..") and not any(character in run_id for character in "/\\\0")


def scores(metric: str, outcomes: Sequence[Outcome], *, value: float | None = None) -> Scores | None:
    """What the score is made of.

    Args:
        metric: its name.
        outcomes: of all examples.
        value: the score as the board holds it.

    Returns:
        `None` where the outcomes do not tell, or not the board's value.

    Example:

    >>> found = scores("accuracy", [{"right": True}, {"right": False}, {"right": True}, {"right": True}])
    >>> found.value, found.plain
    (0.75, True)
    >>> scores("accuracy", [{"right": True}], value=0.5) is None
    True
    """
    for rule in _RULES:
        try:
            found = rule(metric, outcomes)
        except (KeyError, TypeError, ValueError, OverflowError):  # other keys, or other things under these keys
            continue
        if found is None or not np.isfinite(found.parts).all():
            continue
        if value is None or math.isclose(found.value, value, rel_tol=_NEAR, abs_tol=_NEAR):
            return found
    return None


def _table(outcomes: Sequence[Outcome], *keys: str) -> np.ndarray:
    """The numbers under these keys, (N, K)."""
    rows = [[each[key] for key in keys] for each in outcomes]
    if any(not isinstance(cell, int | float) for row in rows for cell in row):
        raise TypeError("not a number")
    return np.array(rows, "float64")


def _ratio(sums: np.ndarray, part: int, whole: int, factor: float = 1.0) -> np.ndarray:
    return factor * _over(sums[..., part], sums[..., whole])


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part over whole, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.asarray(whole) > 0)


def _with_ones(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def _named(metric: str, outcomes: Sequence[Outcome]) -> Scores:
    """The mean of what bears the metric's name."""
    key = {"exact_match": "exact"}.get(metric, metric)
    values = _table(outcomes, key)
    return Scores(_with_ones(values), partial(_ratio, part=0, whole=-1), bool(np.isin(values, (0, 1)).all()))


def _accuracy(metric: str, outcomes: Sequence[Outcome]) -> Scores | None:
    name, _, part = metric.partition("/")
    if name not in ("accuracy", "error"):
        return None
    if not all(isinstance(each["right"], bool) for each in outcomes):
        raise TypeError("not a truth value")
    right = _table(outcomes, "right")[:, 0]
    parts = [str(each.get("task", "")) for each in outcomes]
    if part:
        parts, right = ["in" if each == part else "" for each in parts], right
    names = ["in"] if part else sorted(set(parts))
    member = np.array([[each == name for name in names] for each in parts], "float64")  # (N, P)
    wrong = name == "error"

    def combine(sums: np.ndarray) -> np.ndarray:
        share = _over(sums[..., : len(names)], sums[..., len(names) :]).mean(axis=-1)
        return 1 - share if wrong else share

    return Scores(np.hstack([member * right[:, None], member]), combine, plain=len(names) == 1 and not part)


def _macro_f1(metric: str, outcomes: Sequence[Outcome]) -> Scores | None:
    if metric != "macro_f1":
        return None
    labels, answers = ([str(each[key]) for each in outcomes] for key in ("label", "answer"))
    classes = {name: place for place, name in enumerate(sorted({*labels, *answers}))}
    if len(classes) > _MOST_CLASSES:
        return None
    parts = np.zeros((len(outcomes), 2 * len(classes)))
    for row, label, answer in zip(parts, labels, answers, strict=True):
        row[classes[label]] += label == answer
        row[len(classes) + classes[label]] += 1
        row[len(classes) + classes[answer]] += 1

    def combine(sums: np.ndarray) -> np.ndarray:
        right, both = sums[..., : len(classes)], sums[..., len(classes) :]
        return _over(2 * _over(right, both).sum(axis=-1), (both > 0).sum(axis=-1))  # a class not drawn does not count

    return Scores(parts, combine)


def _entities(metric: str, outcomes: Sequence[Outcome]) -> Scores | None:
    name, _, kind = metric.partition("/")
    if name not in ("f1", "precision", "recall"):
        return None

    def count(entities: list[Any]) -> int:
        if not isinstance(entities, list):
            raise TypeError("not a list of entities")
        return sum(1 for each in entities if each[-1] == kind) if kind else len(entities)

    counts = [[count(each[key]) for key in ("right", "missed", "invented")] for each in outcomes]
    right, missed, invented = np.array(counts, "float64").T
    whole = {"f1": 2 * right + missed + invented, "precision": right + invented, "recall": right + missed}[name]
    return Scores(
        np.column_stack([right, whole]), partial(_ratio, part=0, whole=1, factor=2.0 if name == "f1" else 1.0)
    )


def _tokens(metric: str, outcomes: Sequence[Outcome]) -> Scores | None:
    if metric not in ("accuracy", "token_accuracy"):
        return None
    return Scores(_table(outcomes, "tokens_right", "tokens"), partial(_ratio, part=0, whole=1))


def _language(metric: str, outcomes: Sequence[Outcome]) -> Scores | None:
    if metric == "bits_per_character":
        parts = _table(outcomes, "nats", "characters")
        return Scores(parts, partial(_ratio, part=0, whole=1, factor=1 / math.log(2)))
    if metric not in ("loss", "perplexity"):
        return None
    parts = _table(outcomes, "nats", "tokens")
    if metric == "loss":
        return Scores(parts, partial(_ratio, part=0, whole=1))
    return Scores(parts, lambda sums: np.exp(np.minimum(_ratio(sums, 0, 1), 700.0)))


def _bleu(metric: str, outcomes: Sequence[Outcome]) -> Scores | None:
    """sacreBLEU's, with the words of its tokenizer 13a and its smoothing."""
    if metric != "bleu":
        return None
    parts = np.empty((len(outcomes), 2 * _ORDER + 2))
    for row, each in zip(parts, outcomes, strict=True):
        given, right = _words(each["given"]), _words(each["right"])
        found, wanted = _runs(given), _runs(right)
        row[:_ORDER] = 0
        for run, times in found.items():
            if common := min(times, wanted.get(run, 0)):
                row[len(run) - 1] += common
        row[_ORDER : 2 * _ORDER] = [max(len(given) - size, 0) for size in range(_ORDER)]
        row[2 * _ORDER :] = len(given), len(right)
    return Scores(parts, _bleu_of)


def _bleu_of(sums: np.ndarray) -> np.ndarray:
    matches, totals = sums[..., :_ORDER], sums[..., _ORDER : 2 * _ORDER]
    given, right = sums[..., -2], sums[..., -1]
    missing = (matches == 0) & (totals > 0)
    # The first order without a match counts as half a match, the next one as a quarter.
    smoothed = np.where(missing, 0.5 ** np.cumsum(missing, axis=-1), matches)
    shares = _over(smoothed, totals)
    with np.errstate(divide="ignore"):
        mean = np.exp(np.log(shares).mean(axis=-1))
    brief = np.where(given < right, np.exp(1 - right / np.maximum(given, 1e-9)), 1.0)
    return 100 * np.where(matches[..., 0] > 0, mean * brief, 0.0)


@lru_cache(maxsize=100_000)
def _words(text: str) -> tuple[str, ...]:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return tuple(_tokenizer(Tokenizer13a)(" ".join(text.split())).split())


@lru_cache(maxsize=1)
def _tokenizer(kind: Callable[[], Callable[[str], str]]) -> Callable[[str], str]:
    return kind()


@lru_cache(maxsize=20_000)
def _runs(words: tuple[str, ...]) -> Counter[tuple[str, ...]]:
    return Counter(words[at : at + size] for size in range(1, _ORDER + 1) for at in range(len(words) - size + 1))


_RULES = (_named, _accuracy, _tokens, _entities, _macro_f1, _language, _bleu)
