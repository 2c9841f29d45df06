"""A support-vector machine with probabilities: Platt 1999, with one slope for all classes, as in Guo et al. 2017.

N examples, D features.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

SLOPES = np.geomspace(0.1, 30, 31)
"""Tried on validation: what the machine's scores are multiplied by before they become probabilities."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A fitted machine that gives probabilities: the softmax of its scores times a slope.

    Args:
        pipeline: a scaler and a machine of scikit-learn.
        slope: one number for all classes, so that probabilities are as high as answers are often right.
    """

    pipeline: Any
    slope: float = 1.0

    @property
    def classes_(self) -> np.ndarray:
        """The classes, in the order of the columns."""
        return np.asarray(self.pipeline.classes_)

    @property
    def parameters(self) -> int:
        """How many numbers were fitted."""
        machine = self.pipeline[-1]
        return int(machine.support_vectors_.size + machine.dual_coef_.size + machine.intercept_.size)

    def scores(self, table: np.ndarray) -> np.ndarray:
        """Features (N, D) -> a score for each class (N, classes)."""
        if not len(table):
            return np.zeros((0, len(self.classes_)))
        scores = np.asarray(self.pipeline.decision_function(table))
        return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores

    def predict_proba(self, table: np.ndarray) -> np.ndarray:
        """Features (N, D) -> probabilities (N, classes)."""
        scores = self.scores(table) * self.slope
        powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
        return powers / powers.sum(axis=1, keepdims=True)

    def calibrated(self, table: np.ndarray, labels: np.ndarray) -> Machine:
        """The machine with the slope of `SLOPES` under which these labels are likeliest."""
        right = table[np.isin(labels, self.classes_)], labels[np.isin(labels, self.classes_)]
        if not len(right[1]):
            return self
        columns = np.searchsorted(self.classes_, right[1])

        def surprise(machine: Machine) -> float:
            chosen = machine.predict_proba(right[0])[np.arange(len(columns)), columns]
            return float(-np.log(np.maximum(chosen, 1e-12)).mean())

        return min((dataclasses.replace(self, slope=float(slope)) for slope in SLOPES), key=surprise)
