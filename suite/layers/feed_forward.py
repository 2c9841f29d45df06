"""The position-wise half of a Transformer block.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="suite")
class FeedForward(keras.layers.Layer):
    """Two linear maps with an activation between them, at each position on its own.

    Computes ``W2 dropout(activation(W1 x + b1)) + b2``. Positions do not meet, so no mask is needed.

    Args:
        hidden: the width between the two maps.
        activation: a name or function that `keras.activations.get` knows.
        dropout: the fraction of hidden features dropped in training.

    Call arguments:
        inputs: (B, T, D) floating point.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `hidden` is below 1.

    Example:

    >>> import numpy as np
    >>> tuple(FeedForward(16)(np.ones((2, 3, 4), "float32")).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.3, https://arxiv.org/abs/1706.03762.
    """

    def __init__(self, hidden: int, *, activation: Any = "relu", dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if hidden < 1:
            raise ValueError(f"FeedForward expects hidden of at least 1. Received: hidden={hidden}")
        self.hidden = hidden
        self.activation = keras.activations.get(activation)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the two maps for inputs (B, T, D)."""
        self.inner = keras.layers.Dense(self.hidden, activation=self.activation, dtype=self.dtype_policy, name="inner")
        self.outer = keras.layers.Dense(input_shape[-1], dtype=self.dtype_policy, name="outer")
        self.inner.build(input_shape)
        self.outer.build((*input_shape[:-1], self.hidden))

    def call(self, inputs: Any, *, training: bool | None = None) -> Any:
        hidden = self.dropout(self.inner(inputs), training=training)  # (B, T, hidden)
        return self.outer(hidden)  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout.rate,
        }
