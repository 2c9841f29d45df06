"""Losses over logits."""

from __future__ import annotations

from collections.abc import Callable
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
        if y_pred.shape[-1] == 1:
            return 0.0 * ops.cast(y_pred[..., 0], "float32")
        targets = ops.cast(y_true, "int32")[..., None]  # (B, ..., 1)
        return _cross_entropy(targets, self.label_smoothing)(ops.cast(y_pred, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def _cross_entropy(targets: Any, smoothing: float) -> Callable[[Any], Any]:
    """Targets (B, ..., 1) -> a function from logits (B, ..., C) to losses (B, ...).

    It has a gradient of its own, made from the softmax that the losses need anyway: backends' kernels for log-softmax
    and its gradient take several times as long on a CPU.
    """

    @ops.custom_gradient
    def losses(logits: Any) -> tuple[Any, Callable[..., Any]]:
        probabilities = ops.softmax(logits, axis=-1)  # (B, ..., C)
        # The greatest probability is never as small as to be 0, as that of the target may be.
        normalizer = ops.max(logits, axis=-1) - ops.log(ops.max(probabilities, axis=-1))  # log of sum of exp, (B, ...)
        value = normalizer - (1 - smoothing) * ops.squeeze(ops.take_along_axis(logits, targets, axis=-1), axis=-1)
        if smoothing:
            value = value - smoothing * ops.mean(logits, axis=-1)

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            upstream = arguments[0] if upstream is None else upstream
            classes = ops.shape(logits)[-1]  # which TensorFlow may know as it runs alone
            even = smoothing / ops.cast(classes, "float32")
            here = ops.equal(ops.arange(classes, dtype="int32"), targets)  # (B, ..., C)
            return upstream[..., None] * (probabilities - ops.where(here, 1 - smoothing + even, even))

        return value, gradient

    return losses
