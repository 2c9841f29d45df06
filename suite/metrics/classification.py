"""Scores of classification: thin faces on scikit-learn, and the calibration error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

BINS = 15  # of confidence, for the calibration error


def best(probabilities: Mapping[str, float]) -> str:
    """The likeliest class; of several, the first in the alphabet.

    Example:

    >>> best({"b": 0.5, "a": 0.5})
    'a'
    """
    return min(probabilities, key=lambda name: (-probabilities[name], name))


def scores(
    gold: Sequence[str], predicted: Sequence[Mapping[str, float]], *, top: int | None = None
) -> dict[str, float]:
    """How well predicted probabilities agree with the right classes.

    Args:
        gold: the right class of each example.
        predicted: for each example classes and their probabilities; a class that is not named has none.
        top: also counts an answer among the `top` likeliest as right.

    Returns:
        ``accuracy``. ``macro_f1``: the plain mean of F1 over the classes in gold or among the answers.
        ``auc``: the area under the ROC curve, for more than two classes the mean over each class against the rest;
        left out where a class never occurs in gold. ``calibration_error``: see `calibration_error`. ``top5_accuracy``
        for ``top=5``, and so on.

    Raises:
        ValueError: there is no example, or the numbers of examples differ.

    Example:

    >>> scores(["a", "b"], [{"a": 0.9, "b": 0.1}, {"a": 0.8, "b": 0.2}])["accuracy"]
    0.5
    """
    from sklearn.metrics import f1_score, roc_auc_score

    if not len(gold) or len(gold) != len(predicted):
        raise ValueError(f"expected as many predictions as answers. Received: {len(predicted)} and {len(gold)}")
    answers = [best(probabilities) for probabilities in predicted]
    right = np.array([answer == wanted for answer, wanted in zip(answers, gold, strict=True)])
    confidence = np.array([probabilities[answer] for probabilities, answer in zip(predicted, answers, strict=True)])
    found = {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(gold, answers, average="macro", zero_division=0)),
        "calibration_error": calibration_error(confidence, right),
    }
    classes = sorted({name for probabilities in predicted for name in probabilities} | set(gold))
    if len(classes) > 1 and set(classes) == set(gold):
        # Of two classes the second's area is the first's too.
        areas = [
            roc_auc_score([wanted == name for wanted in gold], [row.get(name, 0.0) for row in predicted])
            for name in (classes if len(classes) > 2 else classes[1:])
        ]
        found["auc"] = float(np.mean(areas))
    if top is not None:
        ranked = [sorted(row, key=lambda name: (-row[name], name))[:top] for row in predicted]
        found[f"top{top}_accuracy"] = float(np.mean([wanted in row for wanted, row in zip(gold, ranked, strict=True)]))
    return found


def calibration_error(confidence: np.ndarray, right: np.ndarray, *, bins: int = BINS) -> float:
    """The expected calibration error: how far confidence is from accuracy, on average over examples.

    Args:
        confidence: (N,) the probability of each answer.
        right: (N,) whether the answer was right.
        bins: of equal width, in which both are averaged.

    Example:

    >>> float(calibration_error(np.array([0.75] * 4), np.array([True, True, True, False])))
    0.0

    Reference: Guo, Pleiss, Sun and Weinberger, 2017, "On calibration of modern neural networks", section 2.
    """
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
