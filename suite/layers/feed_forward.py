"""The position-wise half of a Transformer block.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.dense import Dense
from suite.layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="suite")
def relu_squared(x: Any) -> Any:
    """``max(x, 0) ** 2``: So et al. 2021, Primer, section 4.1, https://arxiv.org/abs/2109.08668."""
    return ops.square(ops.relu(x))


@keras.saving.register_keras_serializable(package="suite")
def gelu_tanh(x: Any) -> Any:
    """GELU by its tanh formula, as in GPT-2: Hendrycks and Gimpel 2016, section 2, https://arxiv.org/abs/1606.08415."""
    return ops.gelu(x, approximate=True)


ACTIVATIONS = {"relu_squared": relu_squared, "gelu_tanh": gelu_tanh}
"""Names that `FeedForward` knows beyond those of `keras.activations.get`."""


@keras.saving.register_keras_serializable(package="suite")
class FeedForward(keras.layers.Layer):
    """Two linear maps with an activation between them, at each position on its own.

    Computes ``outer(dropout(activation(inner(x))))``, where `inner` and `outer` are linear maps with a bias. With
    `gated` there is a third one, `gate`, and the activation moves to it: ``outer(dropout(activation(gate(x)) *
    inner(x)))``. That is GEGLU with ``activation="gelu"`` and SwiGLU with ``"silu"``. Positions do not meet, so no
    mask is needed.

    Args:
        hidden: the width between the maps.
        activation: a name or function that `keras.activations.get` knows, where ``"gelu"`` is the exact one;
            ``"gelu_tanh"``; or ``"relu_squared"``.
        gated: whether a third map, through the activation, multiplies the hidden features.
        use_bias: whether the maps have a bias.
        dropout: the fraction of hidden features dropped in training.

    Call arguments:
        inputs: (B, T, D) floating point.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `hidden` is below 1, and for an activation that nobody knows.

    Example:

    >>> import numpy as np
    >>> layer = FeedForward(16, activation="silu", gated=True, use_bias=False)
    >>> tuple(layer(np.ones((2, 3, 4), "float32")).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.3, https://arxiv.org/abs/1706.03762; Shazeer 2020, section 2 (gated),
    https://arxiv.org/abs/2002.05202. Differs from the papers: dropout between the maps; the gated maps have a bias by
    default, which Shazeer's have not.
    """

    def __init__(
        self,
        hidden: int,
        *,
        activation: Any = "relu",
        gated: bool = False,
        use_bias: bool = True,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if hidden < 1:
            raise ValueError(f"FeedForward expects hidden of at least 1. Received: hidden={hidden}")
        self.hidden = hidden
        named = ACTIVATIONS.get(activation) if isinstance(activation, str) else None
        self.activation = named or keras.activations.get(activation)
        self.gated = gated
        self.use_bias = use_bias
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the maps for inputs (B, T, D)."""
        self.inner = self._map("inner", self.hidden, input_shape)
        self.outer = self._map("outer", input_shape[-1], (*input_shape[:-1], self.hidden))
        if self.gated:
            self.gate = self._map("gate", self.hidden, input_shape)

    def _map(self, name: str, width: int, shape: Any) -> Dense:
        layer = Dense(width, use_bias=self.use_bias, dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer

    def call(self, inputs: Any, *, training: bool | None = None) -> Any:
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (B T, D): of two axes, as TensorFlow's fused product wants
        hidden = self.inner(rows)  # (B T, hidden)
        hidden = self.activation(self.gate(rows)) * hidden if self.gated else self.activation(hidden)
        return ops.reshape(self.outer(self.dropout(hidden, training=training)), ops.shape(inputs))  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "activation": keras.activations.serialize(self.activation),
            "gated": self.gated,
            "use_bias": self.use_bias,
            "dropout": self.dropout.rate,
        }
