"""From a sequence to one vector, reading its real positions alone.

Shapes: B batch, T length, D width, A width of the attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_mask


class Pooling(keras.layers.Layer):
    """What every pooling shares; a new one is a subclass that overrides the hook `pool`.

    Masking: padding is never read, whatever stands there. A row without a real position gives exactly zero. What
    `pool` computes is in float32 at least, and cast last.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions; by default all are. A mask that Keras carries arrives here.

    Returns:
        (B, D).

    Raises:
        ValueError: for a mask that is not boolean of shape (B, T).
    """

    def call(self, inputs: Any, *, mask: Any = None) -> Any:
        check_mask(self, "mask", mask, tuple(inputs.shape[:2]))
        mask = ops.ones(ops.shape(inputs)[:2], "bool") if mask is None else mask
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        x = ops.where(mask[..., None], x, ops.zeros_like(x))  # (B, T, D)
        pooled = self.pool(x, mask)  # (B, D)
        real = ops.any(mask, axis=1, keepdims=True)  # (B, 1)
        return ops.cast(ops.where(real, pooled, ops.zeros_like(pooled)), inputs.dtype)

    def pool(self, x: Any, mask: Any) -> Any:
        """A hook. Vectors (B, T, D), zero where the mask (B, T) is False -> (B, D)."""
        raise NotImplementedError(f"{type(self).__name__} has no `pool`")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """What comes out has no length, hence no mask."""


def masked_max(x: Any, mask: Any) -> Any:
    """The largest value of each feature where the mask is True, and minus infinity in rows where it never is.

    The gradient, shared by equal values, is its own. One that is derived divides by their number, which is zero where a
    compiler works values out a second time for it and rounds them otherwise, and then it is NaN.

    Args:
        x: (B, T, D) floating point.
        mask: (B, T) booleans.

    Returns:
        (B, D).
    """

    @ops.custom_gradient
    def largest(x: Any, real: Any) -> tuple[Any, Callable[..., Any]]:
        top = ops.max(ops.where(real > 0, x, ops.cast(float("-inf"), x.dtype)), axis=1, keepdims=True)  # (B, 1, D)

        def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, Any]:
            upstream = arguments[0] if upstream is None else upstream  # (B, D)
            equal = ops.cast(ops.equal(x, top), x.dtype) * real  # (B, T, D)
            share = upstream / ops.maximum(ops.sum(equal, axis=1), 1)
            return equal * share[:, None], ops.zeros_like(real)

        return top[:, 0], gradient

    return largest(x, ops.cast(mask, x.dtype)[..., None])


@keras.saving.register_keras_serializable(package="suite")
class MeanPooling(Pooling):
    """The mean of the vectors at real positions: ``sum over t of mask_t x_t / sum over t of mask_t``.

    Masking, `Call arguments`, `Returns` and `Raises` are those of `Pooling`.

    Example:

    >>> import numpy as np
    >>> x, mask = np.array([[[1.0], [3.0], [9.0]]], "float32"), np.array([[True, True, False]])
    >>> float(MeanPooling()(x, mask=mask)[0, 0])
    2.0

    Reference: Reimers and Gurevych 2019, Sentence-BERT, section 3, https://arxiv.org/abs/1908.10084.
    """

    def pool(self, x: Any, mask: Any) -> Any:
        count = ops.sum(ops.cast(mask, x.dtype), axis=1, keepdims=True)  # (B, 1)
        return ops.sum(x, axis=1) / ops.maximum(count, 1)  # (B, D)


@keras.saving.register_keras_serializable(package="suite")
class MaxPooling(Pooling):
    """The largest value of each feature over real positions: ``max over t with mask_t of x_t``.

    Masking, `Call arguments`, `Returns` and `Raises` are those of `Pooling`.

    Example:

    >>> import numpy as np
    >>> x, mask = np.array([[[-1.0], [-3.0], [9.0]]], "float32"), np.array([[True, True, False]])
    >>> float(MaxPooling()(x, mask=mask)[0, 0])
    -1.0

    Reference: Collobert et al. 2011, section 3.2.2 (max over time), https://arxiv.org/abs/1103.0398.
    """

    def pool(self, x: Any, mask: Any) -> Any:
        return masked_max(x, mask)


@keras.saving.register_keras_serializable(package="suite")
class FirstPooling(Pooling):
    """The vector at the first real position, which is the class token's where there is one.

    ``x_t`` for the smallest t with ``mask_t``; padding may stand on either side.

    Masking, `Call arguments`, `Returns` and `Raises` are those of `Pooling`.

    Example:

    >>> import numpy as np
    >>> x, mask = np.array([[[9.0], [3.0], [5.0]]], "float32"), np.array([[False, True, True]])
    >>> float(FirstPooling()(x, mask=mask)[0, 0])
    3.0

    Reference: Devlin et al. 2019, BERT, section 3, https://arxiv.org/abs/1810.04805. Differs from the paper: no linear
    map and tanh follow.
    """

    def pool(self, x: Any, mask: Any) -> Any:
        first = ops.argmax(ops.cast(mask, "int32"), axis=1)  # (B)
        return ops.take_along_axis(x, first[:, None, None], axis=1)[:, 0]  # (B, D)


@keras.saving.register_keras_serializable(package="suite")
class AttentionPooling(Pooling):
    """A mean of the vectors at real positions, weighted by how well each answers one learned query.

    ``sum over t of w_t x_t`` with ``w = softmax over t with mask_t of (q . tanh(W x_t + b))``. `weigh` gives w.

    Masking, `Call arguments` and `Returns` are those of `Pooling`.

    Args:
        hidden: A, the width of the query; by default D.

    Raises:
        ValueError: where `hidden` is below 1; for a mask that is not boolean of shape (B, T).

    Example:

    >>> import numpy as np
    >>> tuple(AttentionPooling(3)(np.ones((2, 5, 4), "float32")).shape)
    (2, 4)

    Reference: Yang et al. 2016, Hierarchical Attention Networks, section 2.2, https://aclanthology.org/N16-1174.
    """

    def __init__(self, hidden: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if hidden is not None and hidden < 1:
            raise ValueError(f"AttentionPooling expects hidden of at least 1. Received: hidden={hidden}")
        self.hidden = hidden

    def build(self, input_shape: Any) -> None:
        """Make the map and the query for inputs (B, T, D)."""
        hidden = self.hidden or input_shape[-1]
        self.projection = keras.layers.Dense(hidden, activation="tanh", dtype=self.dtype_policy, name="projection")
        self.projection.build(input_shape)
        initializer = keras.initializers.RandomNormal(stddev=hidden**-0.5)
        self.query = self.add_weight(name="query", shape=(hidden,), initializer=initializer, autocast=False)

    def weigh(self, x: Any, mask: Any) -> Any:
        """A hook. Vectors (B, T, D), mask (B, T) -> weights (B, T) in float32 at least, zero where the mask is False.

        The weights of a row sum to 1, or are all zero where nothing is real.
        """
        hidden = self.projection(x)  # (B, T, A)
        wide = keras.backend.result_type(hidden.dtype, "float32")
        scores = ops.sum(ops.cast(hidden, wide) * ops.cast(self.query, wide), axis=-1)  # (B, T)
        # Scores are at most the sum of |q|, hence far above -1e30, and a row without a real position stays finite.
        weights = ops.softmax(ops.where(mask, scores, ops.cast(-1e30, wide)))
        return ops.where(mask, weights, ops.zeros_like(weights))

    def pool(self, x: Any, mask: Any) -> Any:
        return ops.sum(self.weigh(x, mask)[..., None] * x, axis=1)  # (B, D)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden}
