"""A place of its own where a model gathers what it thinks of a whole sequence.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask


@keras.saving.register_keras_serializable(package="suite")
class ClassToken(keras.layers.Layer):
    """Puts one learned vector, the same for every sequence, in front of each.

    Computes ``[c; x_1; ...; x_T]``. The token is always real: `extend_mask` puts a True in front of a mask, and the
    output carries that mask where Keras carries masks. `FirstPooling` reads the token again after the encoder.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions.

    Returns:
        (B, T + 1, D).

    Raises:
        ValueError: for a mask that is not boolean of shape (B, T).

    Example:

    >>> import numpy as np
    >>> layer = ClassToken()
    >>> tuple(layer(np.ones((2, 5, 4), "float32")).shape), layer.extend_mask(np.ones((2, 5), bool)).shape[1]
    ((2, 6, 4), 6)

    Reference: Devlin et al. 2019, BERT, section 3, https://arxiv.org/abs/1810.04805; Dosovitskiy et al. 2021, ViT,
    section 3.1, https://arxiv.org/abs/2010.11929.
    """

    def build(self, input_shape: Any) -> None:
        """Make the vector for inputs (B, T, D)."""
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.token = self.add_weight(name="token", shape=(input_shape[-1],), initializer=initializer)

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape[:2]))
        batch, _, width = ops.shape(inputs)
        token = ops.broadcast_to(ops.cast(self.token, inputs.dtype), (batch, 1, width))
        return ops.concatenate([token, inputs], axis=1)  # (B, T + 1, D)

    def extend_mask(self, mask: Any) -> Any:
        """Booleans (B, T) -> (B, T + 1), True at the token."""
        return ops.concatenate([ops.ones_like(mask[:, :1]), mask], axis=1)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """What Keras attaches to the output."""
        return None if previous_mask is None else self.extend_mask(previous_mask)
