"""A learned vector for each position.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.arguments import check_sizes
from suite.layers.positions import Position, check_range, per_row


@keras.saving.register_keras_serializable(package="suite")
class Learned(Position):
    """Adds a learned vector for each position to a sequence of embeddings.

    ``x[t] + table[position[t]]``, in float32 at least, cast last. A position beyond the table is an error, also while
    a compiled function is traced if the length is known; where only the running function sees it, as in a loop with a
    cache, its output is NaN. It is never taken for another one.

    Args:
        length: the number of positions in the table.

    Call arguments:
        inputs: (B, T, D) floating point.
        positions: (T,) or (B, T) integers from 0 to ``length - 1``; by default 0 to T - 1.

    Returns:
        (B, T, D), of the inputs' type.

    Raises:
        ValueError: where `length` is below 1, and for positions beyond the table.

    Example:

    >>> import numpy as np
    >>> tuple(Learned(5)(np.zeros((2, 3, 4), "float32")).shape)
    (2, 3, 4)

    Reference: Gehring et al. 2017, section 3.1, https://arxiv.org/abs/1705.03122; initialised as in Devlin et al. 2019,
    BERT, https://arxiv.org/abs/1810.04805.
    """

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(self, length=length)
        self.length = length

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Make the table for embeddings (B, T, D)."""
        self.table = make_table(self, self.length, inputs_shape)

    def embed(self, x: Any, positions: Any) -> Any:
        """(B, T, D), positions (T,) or (B, T) -> (B, T, D)."""
        return add_rows(self, x, self.table, positions)

    @property
    def longest(self) -> int:
        """The rows of the table."""
        return self.length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length}


def make_table(owner: keras.layers.Layer, length: int, inputs_shape: tuple[int | None, ...]) -> Any:
    """A weight (length, D) for inputs (B, T, D), which stays in its own precision."""
    if len(inputs_shape) != 3 or inputs_shape[-1] is None:
        raise ValueError(
            f"{type(owner).__name__} expects inputs (B, T, D) of known D. "
            f"Received: inputs of shape {tuple(inputs_shape)}"
        )
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    shape = (length, inputs_shape[-1])
    return owner.add_weight(name="position_table", shape=shape, initializer=initializer, autocast=False)


def add_rows(owner: keras.layers.Layer, x: Any, table: Any, positions: Any) -> Any:
    """(B, T, D) plus the rows of a table (N, D) at its positions, (T,) or (B, T); NaN where there is none."""
    end = table.shape[0]
    inside = check_range(owner, positions, end)  # (B or 1, T)
    rows = ops.take(table, ops.clip(per_row(positions), 0, end - 1), axis=0)  # (B or 1, T, D)
    wide = keras.backend.result_type(x.dtype, "float32")
    rows = ops.where(inside[..., None], ops.cast(rows, wide), ops.cast(float("nan"), wide))
    return ops.cast(ops.cast(x, wide) + rows, x.dtype)
