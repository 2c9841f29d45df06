"""Rematerialization: memory for activations traded for the time of a second forward pass."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Recompute(keras.layers.Layer):
    """Calls a layer and keeps none of its activations for the backward pass, which computes them again.

    `keras.remat` alone does not do for a layer with state. Dropout would draw other masks the second time on
    TensorFlow and PyTorch, so that gradients belong to another function, and on JAX its new seed would leak from the
    trace. So weights and state go in as tensors and the new state comes out as tensors: both passes see the same.

    It has no weights, and `autocast` is off so that it sees those of the layer in full precision.

    Call arguments:
        inputs: what the layer is called with.
        layer: a layer that has been built.
        tensors: keyword arguments of its call. Gradients flow to those that are floating point.
        options: keyword arguments that are no tensors.

    Returns:
        What the layer returns, one tensor.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, dtype="float32", **kwargs)
        self.supports_masking = True
        self.built = True  # for nothing is to be built, and quantizing asks it of every layer, called or not

    def call(self, inputs: Any, *, layer: keras.layers.Layer, tensors: dict[str, Any], options: dict[str, Any]) -> Any:
        tensors = {"inputs": inputs, **tensors}
        smooth = {k: v for k, v in tensors.items() if keras.backend.is_float_dtype(v.dtype)}
        fixed = {k: v for k, v in tensors.items() if k not in smooth}
        weights, state = layer.trainable_variables, layer.non_trainable_variables
        before = [ops.copy(variable) for variable in state]

        def compute(*values: Any) -> Any:
            current = [*zip(weights, values[len(smooth) :], strict=True), *zip(state, before, strict=True)]
            with keras.StatelessScope(current, collect_losses=True) as scope:
                output = layer(**dict(zip(smooth, values, strict=False)), **fixed, **options)
            return output, [scope.get_current_value(variable) for variable in state], scope.losses

        # Reshaping makes a tensor of a variable on every backend, without a copy.
        read = [ops.reshape(variable, variable.shape) for variable in weights]
        output, after, losses = keras.remat(compute)(*smooth.values(), *read)
        for variable, value in zip(state, after, strict=True):
            variable.assign(value)
        for loss in losses:
            self.add_loss(loss)
        return output
