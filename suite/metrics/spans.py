"""Answers cut from a text, scored as SQuAD's own scripts score them, versions 1.1 and 2.0.

Answers are compared without case, ASCII punctuation, the articles a, an and the, and repeated white space. The empty
answer says that the text does not tell.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Version = Literal["1.1", "2.0"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize(answer: str) -> str:
    """The answer as it is compared.

    Example:

    >>> normalize("The  U.S. Army's"), normalize("A.")
    ('us armys', '')
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def question(gold: Sequence[str], predicted: str, *, version: Version = "2.0") -> tuple[float, float]:
    """Exact match and F1 of one answer, each the best over the right answers, from 0 to 1.

    F1 is the harmonic mean of the shares of common words, each counted as often as both have it.

    Args:
        gold: the right answers; none where the text does not tell.
        predicted: the answer given; empty for none.
        version: they differ where nothing is left of an answer, such as of "The". In 2.0 such a right answer does not
            count, and where none is left the right answer is none; a missing answer scores 1 or 0. In 1.1 its F1 is
            always 0.

    Example:

    >>> question(["the Normans", "Normans of France"], "Normans in France")
    (0.0, 0.666...)
    >>> question([], ""), question([], "Rollo")
    ((1.0, 1.0), (0.0, 0.0))
    """
    answers = [normalize(answer) for answer in gold]
    if version == "2.0":
        answers = [answer for answer in answers if answer] or [""]
    found = normalize(predicted)
    exact = max((float(answer == found) for answer in answers), default=0.0)
    return exact, max((_f1(answer.split(), found.split(), version) for answer in answers), default=0.0)


def _f1(gold: list[str], found: list[str], version: Version) -> float:
    if version == "2.0" and not (gold and found):
        return float(gold == found)
    common = sum((Counter(gold) & Counter(found)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def scores(gold: Sequence[Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """The means over all questions, from 0 to 1 (SQuAD's scripts give percentages).

    Where each question has an answer, ``f1`` and ``exact`` as version 1.1 counts them. Else those of version 2.0, and
    the means over the questions that have an answer (``has_answer_f1``, ``has_answer_exact``; 2.0 says HasAns) and over
    those that have none (``no_answer_f1``, ``no_answer_exact``; NoAns).

    Args:
        gold: for each question the right answers.
        predicted: for each question the answer given.

    Example:

    >>> scores([["Rollo"], []], ["King Rollo", ""])["f1"]
    0.833...
    """
    version = version_of(gold)
    each = [question(answers, answer, version=version) for answers, answer in zip(gold, predicted, strict=True)]
    found = _means(each, "")
    if version == "2.0":
        found |= _means([pair for pair, answers in zip(each, gold, strict=True) if answers], "has_answer_")
        found |= _means([pair for pair, answers in zip(each, gold, strict=True) if not answers], "no_answer_")
    return found


def version_of(gold: Sequence[Sequence[str]]) -> Version:
    """The version whose rules apply: 2.0 where a question has no answer."""
    return "1.1" if all(gold) else "2.0"


def _means(each: Sequence[tuple[float, float]], prefix: str) -> dict[str, float]:
    if not each:
        return {}
    return {
        f"{prefix}f1": sum(f1 for _, f1 in each) / len(each),
        f"{prefix}exact": sum(exact for exact, _ in each) / len(each),
    }
