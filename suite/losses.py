"""Losses over logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="suite")
class CrossEntropy(keras.losses.Loss):
    """The mean over weighted places of ``-log softmax(logits)[target]``, in nats, computed in float32.

    Keras's own sparse loss takes logits of a single class for something else; this one gives 0 for them, so that a
    training set with one class trains.

    Args:
        label_smoothing: the share of the target that is spread evenly over all classes, from 0 to less than 1 (Szegedy
            et al. 2016, "Rethinking the Inception architecture", section 7).

    Call arguments:
        y_true: integers (B, ...).
        y_pred: logits (B, ..., C).
        sample_weight: (B, ...); the mean is over weights, so that padding of weight 0 counts for nothing.

    Returns:
        A scalar.

    Example:

    >>> import numpy as np
    >>> float(CrossEntropy()(np.array([[1]]), np.zeros((1, 1, 4), "float32")))  # log 4
    1.386294...
    """

    def __init__(self, *, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs: Any) -> None:
        super().__init__(name=name, **{"reduction": "mean_with_sample_weight", **kwargs})
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is from 0 to less than 1. Received: {label_smoothing}")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        logs = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)  # (B, ..., C)
        chosen = ops.take_along_axis(logs, ops.cast(y_true, "int32")[..., None], axis=-1)  # (B, ..., 1)
        right = -ops.squeeze(chosen, axis=-1)
        if not self.label_smoothing:
            return right
        return (1 - self.label_smoothing) * right - self.label_smoothing * ops.mean(logs, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
