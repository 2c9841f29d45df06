"""A scikit-learn classifier over features of examples, as a baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.task import Example


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier:
    """A fitted classifier: examples -> for each, classes and their probabilities.

    Args:
        features: examples -> what `model` takes; a function of a module or an object, so that all can be pickled.
        model: a fitted scikit-learn classifier with `predict_proba` and `classes_`; `None` where training had one
            class alone.
        classes: the classes of the training examples.
        parameters: how many numbers were fitted.
        note: what a reader of the scores should know.
    """

    features: Callable[[Sequence[Example]], Any]
    model: Any
    classes: tuple[str, ...]
    parameters: int
    note: str

    def __call__(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The probabilities of each example's classes."""
        if not len(examples):
            return []
        if self.model is None:
            return [{self.classes[0]: 1.0} for _ in examples]
        names = [str(name) for name in self.model.classes_]
        table = self.model.predict_proba(self.features(examples))
        return [dict(zip(names, map(float, row), strict=True)) for row in table]
