"""The linear map of which attention and feed-forwards are made, also in int8.

Shapes: R rows, D width, U units.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="suite")
class Dense(keras.layers.Dense):
    """`keras.layers.Dense` inside another layer, which `keras.Model.quantize` may make int8.

    The layer around it makes it anew when a model is loaded, from a configuration that knows nothing of what became of
    its parts. So it is the saved weights that say whether they are int8.

    Call arguments:
        inputs: (..., D) floating point.

    Returns:
        (..., U).

    Raises:
        ValueError: in `quantize`, for int8 weights with features that stay as they are, which weights do not tell.

    Example:

    >>> import numpy as np
    >>> layer = Dense(3)
    >>> layer.build((None, 4))
    >>> layer.quantize("int8")
    >>> tuple(layer(np.ones((1, 4), "float32")).shape)
    (1, 3)

    Reference: Dettmers et al. 2022, section 2.1 (a scale for each row of the inputs and each column of the weights),
    https://arxiv.org/abs/2208.07339.
    """

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """As Keras does it."""
        if mode == "int8" and config is not None and config.activation_quantizer is None:
            raise ValueError("Dense expects int8 for weights and features. Received: activation_quantizer=None")
        super().quantize(mode, type_check=False, config=config)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras computes it."""
        inputs, *others = args
        if len(inputs.shape) == 2 and inputs.shape[0] == 1:
            # XLA's fast product of int8 on a CPU wants two rows at least; without it one takes eight times as long.
            return super().quantized_call(ops.pad(inputs, ((0, 1), (0, 0))), *others, **kwargs)[:1]
        return super().quantized_call(inputs, *others, **kwargs)

    def load_own_variables(self, store: Any) -> None:
        """Load the weights, and become int8 where they are."""
        if self.built and self.quantization_mode is None and holds_int8(store):
            self.quantize("int8")
        super().load_own_variables(store)


def holds_int8(store: Any) -> bool:
    """Whether the first of a layer's saved variables is int8."""
    return "0" in store.keys() and store["0"].dtype == "int8"  # noqa: SIM118 - a store is no mapping
