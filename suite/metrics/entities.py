"""Entity scores as conlleval counts them: a thin face on seqeval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from operator import eq


def entities(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The entities of one sentence as (start, stop, type), in order; the tokens are ``start`` to ``stop - 1``.

    An entity starts at every ``B-``, at an ``I-`` that follows no tag of its own type, and where the type changes; so
    tags that are not well-formed have entities too.

    Example:

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "I-ORG"])
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'ORG')]

    Reference: Tjong Kim Sang and De Meulder, 2003, "Introduction to the CoNLL-2003 shared task", and its scorer
    conlleval; the rule is seqeval's in its default mode.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return [(start, last + 1, kind) for kind, start, last in get_entities(list(tags))]


def entity_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """How well the predicted entities agree with the gold ones: fractions between 0 and 1, 0 where nothing can count.

    An entity is right when its type and both of its ends are right.

    Args:
        gold: the right tags, one sequence a sentence.
        predicted: the tags to score, as long as `gold`, sentence by sentence.

    Returns:
        ``precision``: of the predicted entities, how many are right. ``recall``: of the gold entities, how many were
        found. ``f1``: their harmonic mean, over the entities of all types together (micro). ``macro_f1``: the plain
        mean of F1 over the types. ``f1/TYPE``, ``precision/TYPE``, ``recall/TYPE`` for each type in gold or predicted.
        ``accuracy``: of all tokens, those outside of entities among them, how many have the right tag; it counts every
        token once, and is high for whoever finds no entity at all.

    Raises:
        ValueError: the numbers of sentences differ, or those of a sentence's tags; the message names the sentence.

    Example:

    >>> scores = entity_scores([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "O", "O", "B-LOC"]])
    >>> scores["f1"], scores["f1/LOC"], scores["f1/PER"], scores["accuracy"]
    (0.5, 1.0, 0.0, 0.75)
    """
    _check_lengths(gold, predicted)
    wanted = {(i, *entity) for i, tags in enumerate(gold) for entity in entities(tags)}
    found = {(i, *entity) for i, tags in enumerate(predicted) for entity in entities(tags)}
    wanted_of, found_of, right_of = (Counter(kind for *_, kind in some) for some in (wanted, found, wanted & found))
    by_type = {kind: _scores(right_of[kind], found_of[kind], wanted_of[kind]) for kind in sorted(wanted_of | found_of)}
    tokens = sum(map(len, gold))
    tokens_right = sum(map(eq, chain.from_iterable(gold), chain.from_iterable(predicted)))
    return {
        **_scores(len(wanted & found), len(found), len(wanted)),
        "macro_f1": _ratio(sum(scores["f1"] for scores in by_type.values()), len(by_type)),
        "accuracy": _ratio(tokens_right, tokens),
        **{f"{name}/{kind}": score for kind, scores in by_type.items() for name, score in scores.items()},
    }


def _check_lengths(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"expected tags for {len(gold)} sentences, as in gold. Received: {len(predicted)}")
    for i, (tags, guess) in enumerate(zip(gold, predicted, strict=True)):
        if len(tags) != len(guess):
            raise ValueError(f"sentence {i}: expected {len(tags)} tags, as in gold. Received: {len(guess)}")


def _scores(right: int, found: int, wanted: int) -> dict[str, float]:
    return {
        "f1": _ratio(2 * right, found + wanted),
        "precision": _ratio(right, found),
        "recall": _ratio(right, wanted),
    }


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
