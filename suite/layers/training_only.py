"""A layer that acts in training alone.

Shapes: whatever the layer takes and gives.
"""

from __future__ import annotations

from typing import Any, Self

import keras


@keras.saving.register_keras_serializable(package="suite")
class TrainingOnly(keras.layers.Layer):
    """Passes its input through a layer in training, and as it is at any other time.

    ``y = f(x)`` in training, else ``y = x``. Made for Keras's own image augmentation, which acts whenever nobody says
    that it is not training: a model that holds it plainly gives another answer at each direct call.

    Masking: the layer knows of no mask, so there must be none.

    Args:
        layer: what acts, from a shape to the same.

    Call arguments:
        inputs: what the layer takes.
        training: whether to act.

    Returns:
        Of the shape of the inputs.

    Raises:
        ValueError: where `layer` is no layer.

    Example:

    >>> import numpy as np
    >>> double = TrainingOnly(keras.layers.Rescaling(2.0))
    >>> [float(double(np.ones(()), training=training)) for training in (False, True)]
    [1.0, 2.0]
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"{type(self).__name__} expects a layer. Received: layer={layer!r}")
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        """Build the layer."""
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs: Any, *, training: bool | None = None) -> Any:
        return self.layer(inputs, training=True) if training else inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return super().from_config({**config, "layer": keras.saving.deserialize_keras_object(config["layer"])})
