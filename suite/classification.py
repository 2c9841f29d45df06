"""What tasks share whose answer is one class: `label` in an example, class -> probability in a prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.errors import InputError
from suite.metrics import classification as metrics
from suite.task import Answer, Encoded, Evaluation, Example, Spec

if TYPE_CHECKING:
    import keras

TEMPERATURES = np.geomspace(0.25, 8.0, 41)
"""Tried on validation: what logits are divided by, so that probabilities are as high as answers are often right."""


def labels(example: Example) -> list[str]:
    """The one label of an example."""
    return [example["label"]]


def classes(train: Sequence[Example]) -> tuple[str, ...]:
    """The labels of the training examples, in alphabetical order.

    Raises:
        InputError: there is no example.
    """
    found = tuple(sorted({example["label"] for example in train}))
    if not found:
        raise InputError("nothing to train on: expected at least one training example")
    return found


def targets(examples: Sequence[Example], spec: Spec) -> list[np.ndarray]:
    """Each label's number; 0 for a label that training had not, and for an example without one."""
    numbers = {name: number for number, name in enumerate(spec.classes)}
    return [np.array(numbers.get(example.get("label", ""), 0), dtype="int32") for example in examples]


def loss(features: Any) -> keras.Loss:
    """Cross-entropy, with the label smoothing that the task's settings ask for, if they do."""
    from suite.losses import CrossEntropy

    return CrossEntropy(label_smoothing=getattr(features, "label_smoothing", 0.0))


def decode(outputs: Sequence[np.ndarray], encoded: Encoded, spec: Spec) -> list[dict[str, float]]:
    """Logits (C,) of each example as class -> probability."""
    if not len(outputs):
        return []
    table = _softmax(np.stack(outputs), spec.preprocessing.get("temperature", 1.0))  # (N, C)
    return [dict(zip(spec.classes, map(float, row), strict=True)) for row in table]


def calibrate(
    outputs: Sequence[np.ndarray], encoded: Encoded, examples: Sequence[Example], spec: Spec
) -> tuple[Spec, str]:
    """Chooses the temperature by the likelihood of the right labels. It changes probabilities and no answer.

    Reference: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    numbers = {name: number for number, name in enumerate(spec.classes)}
    known = [i for i, example in enumerate(examples) if example["label"] in numbers]
    if not known or len(spec.classes) == 1:
        return spec, ""
    logits = np.stack([outputs[i] for i in known])
    right = np.array([numbers[examples[i]["label"]] for i in known])

    def surprise(temperature: float) -> float:
        chosen = _softmax(logits, temperature)[np.arange(len(right)), right]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    best = float(min(TEMPERATURES, key=surprise))
    calibrated = dataclasses.replace(spec, preprocessing={**spec.preprocessing, "temperature": best})
    return calibrated, f"temperature {best:.2f}, chosen on validation"


def evaluate(
    predictions: Sequence[Mapping[str, float]], examples: Sequence[Example], *, top: int | None = None
) -> Evaluation:
    """Scores (see `suite.metrics.classification`), and for each example the right label, the answer, and both
    probabilities."""
    gold = [example["label"] for example in examples]
    outcomes = []
    for wanted, probabilities in zip(gold, predictions, strict=True):
        answer = metrics.best(probabilities)
        outcomes.append(
            {
                "label": wanted,
                "answer": answer,
                "right": answer == wanted,
                "probability": round(probabilities[answer], 6),
                "label_probability": round(probabilities.get(wanted, 0.0), 6),
            }
        )
    return Evaluation(metrics.scores(gold, predictions, top=top), outcomes)


def show(prediction: Mapping[str, float], example: Example, top: int) -> list[Answer]:
    """The `top` likeliest classes."""
    ranked = sorted(prediction, key=lambda name: (-prediction[name], name))[:top]
    return [{"answer": name, "probability": prediction[name]} for name in ranked]


def _softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logits.astype("float64") / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
