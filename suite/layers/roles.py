"""A sentence's words as a few vectors, one for each role that a word can have in it.

Shapes: B batch, S sentences, J words of a sentence, E width of a word, K roles.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_sizes


@keras.saving.register_keras_serializable(package="suite")
class Roles(keras.layers.Layer):
    """Reads a sentence by asking K questions of its words: who, what, where ...

    For role k, a mean of the words' vectors weighted by ``softmax over j of (w_j . u_k + p_jk)``: u_k says which words
    fill the role, p_jk at which place of a sentence they stand. So "the hall is north of the office" and "the office is
    north of the hall" differ, which no sum of words can tell.

    Masking: padding words have no weight. A sentence without any word gives a vector of zeros.

    Args:
        roles: K.

    Call arguments:
        inputs: (B, S, J, E) floating point.
        mask: (B, S, J) booleans, True at words.

    Returns:
        (B, S, K, E).

    Raises:
        ValueError: where `roles` is below 1.

    Example:

    >>> import numpy as np
    >>> tuple(Roles(3)(np.ones((2, 5, 7, 4), "float32"), mask=np.ones((2, 5, 7), bool)).shape)
    (2, 5, 3, 4)

    Reference: Sukhbaatar et al. 2015, End-To-End Memory Networks, section 4.1 (position encoding),
    https://arxiv.org/abs/1503.08895. Differs from the paper: the weights are learned, see the words, and there are K.
    """

    def __init__(self, roles: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(self, roles=roles)
        self.roles = roles
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs (B, S, J, E)."""
        words, width = input_shape[-2:]
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.content = self.add_weight(name="content", shape=(width, self.roles), initializer="glorot_uniform")
        self.place = self.add_weight(name="place", shape=(words, self.roles), initializer=normal)

    def call(self, inputs: Any, *, mask: Any) -> Any:
        scores = ops.matmul(inputs, self.content) + self.place  # (B, S, J, K)
        wide = keras.backend.result_type(scores.dtype, "float32")
        real = mask[..., None]  # (B, S, J, 1)
        scores = ops.where(real, ops.cast(scores, wide), ops.cast(-1e30, wide))
        weights = ops.where(real, ops.softmax(scores, axis=2), ops.cast(0.0, wide))  # (B, S, J, K)
        return ops.matmul(ops.swapaxes(ops.cast(weights, inputs.dtype), 2, 3), inputs)  # (B, S, K, E)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """What comes out has no words, hence no mask of them."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "roles": self.roles}
