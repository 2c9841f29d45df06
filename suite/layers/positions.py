"""Where a token stands: the base of every position scheme, which itself does nothing, and what the schemes share.

Shapes: B batch, T query length, S key length, D width, H heads, W head width, F frequencies.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from suite.layers.arguments import known


@keras.saving.register_keras_serializable(package="suite")
class Position(keras.layers.Layer):
    """What a model asks of a position scheme; this one does nothing, and a scheme overrides what it needs.

    A scheme is injected: ``MultiHeadAttention(8, position=Rotary())``, ``Encoder(6, block, position=Sinusoidal())``.
    It acts in one of three places: on the embeddings (`embed`), on queries and keys (`rotate`), or on the scores
    (`bias`). Weights are made in `build`, which receives (B, T, D), the shape of the embeddings, from a stack, and
    (B, H, T, W), that of the projected queries, from attention.

    Positions are integers, (T,) for all rows alike or (B, T). They count from 0 in a plain call and from the cache's
    length in a step with a cache; for packed sequences the caller gives them.

    Call arguments:
        inputs: (B, T, D) floating point.
        positions: (T,) or (B, T) integers; by default 0 to T - 1.

    Returns:
        (B, T, D), what `embed` makes of the inputs.

    Raises:
        ValueError: where positions are not integers of one or two dimensions.

    Example: a penalty on distance, the same for every head.

    >>> import numpy as np
    >>> class Near(Position):
    ...     def bias(self, query_positions, key_positions):
    ...         return -ops.cast(ops.abs(distances(query_positions, key_positions)), "float32")[:, None]
    >>> np.asarray(Near().bias(np.arange(2), np.arange(3))).tolist()
    [[[[-0.0, -1.0, -2.0], [-1.0, -0.0, -1.0]]]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, *, positions: Any = None) -> Any:
        return self.embed(inputs, count(inputs) if positions is None else positions)

    def embed(self, x: Any, positions: Any) -> Any:
        """Embeddings (B, T, D) -> the same shape, with their positions in them."""
        return x

    def rotate(self, x: Any, positions: Any) -> Any:
        """Queries or keys (B, H, T, W) -> the same shape, turned by their positions."""
        return x

    def bias(self, query_positions: Any, key_positions: Any) -> Any:
        """Positions of T queries and S keys -> float32 for the scores, broadcastable to (B, H, T, S); or None."""
        return None

    @property
    def longest(self) -> int | None:
        """The number of positions that it knows, or None where any is as good as another."""
        return None

    @property
    def in_attention(self) -> bool:
        """Whether it acts inside attention rather than on the embeddings."""
        cls = type(self)
        return cls.rotate is not Position.rotate or cls.bias is not Position.bias


def per_row(positions: Any) -> Any:
    """Positions (T,) or (B, T) -> (1, T) or (B, T), int32."""
    dtype, rank = keras.backend.standardize_dtype(positions.dtype), len(positions.shape)
    if not keras.backend.is_int_dtype(dtype) or rank not in (1, 2):
        raise ValueError(
            f"Positions are expected to be integers of shape (T,) or (B, T). "
            f"Received: {dtype} of shape {tuple(positions.shape)}"
        )
    positions = ops.cast(positions, "int32")
    return positions[None] if rank == 1 else positions


def distances(query_positions: Any, key_positions: Any) -> Any:
    """Positions (T,) or (B, T), (S,) or (B, S) -> key minus query, (B or 1, T, S)."""
    return per_row(key_positions)[:, None, :] - per_row(query_positions)[:, :, None]


def count(x: Any) -> Any:
    """(B, T, ...) -> 0 to T - 1.

    As plain numbers where T is known, so that `check_range` can refuse them while a compiled function is traced. On
    PyTorch T is always a number, also where it stands for an unknown length; but there nothing is traced that runs.
    """
    length = x.shape[1]
    if isinstance(length, int) and keras.backend.backend() != "torch":
        return np.arange(length)
    return ops.arange(ops.shape(x)[1])


def check_range(owner: keras.layers.Layer, positions: Any, end: int) -> Any:
    """Raise a ValueError where known positions lie outside 0 to ``end - 1``; else, (1 or B, T), which lie inside.

    Where positions become known only inside a compiled function, nothing can be raised, and what is computed from
    those outside must become NaN.
    """
    values = known(positions)
    if values is not None and values.size and not 0 <= values.min() <= values.max() < end:
        raise ValueError(
            f"{type(owner).__name__} expects positions from 0 to {end - 1}. "
            f"Received: positions from {values.min()} to {values.max()}"
        )
    positions = per_row(positions)
    return ops.logical_and(positions >= 0, positions < end)


def frequencies(width: int, wavelength: float, *, endpoint: bool = False) -> np.ndarray:
    """The frequencies ``wavelength ** (-2 i / width)``, half of `width`; with `endpoint` down to ``1 / wavelength``."""
    return np.geomspace(1.0, 1.0 / wavelength, width // 2, endpoint=endpoint)


def angles(positions: Any, frequency: np.ndarray, dtype: str) -> Any:
    """Positions (B or 1, T), frequencies (F) -> their products (B or 1, T, F)."""
    return ops.cast(positions, dtype)[:, :, None] * ops.convert_to_tensor(frequency, dtype)


def waves(angle: Any, *, interleaved: bool) -> Any:
    """Angles (B or 1, T, F) -> (B or 1, T, 2 F): sine and cosine in turn, or all sines before all cosines."""
    if not interleaved:
        return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)
    pairs = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1)  # (B or 1, T, F, 2)
    return ops.reshape(pairs, (*ops.shape(angle)[:-1], 2 * angle.shape[-1]))


def check_wavelength(owner: keras.layers.Layer, wavelength: float) -> float:
    """Raise a ValueError unless a wavelength is above 0."""
    if wavelength <= 0:
        raise ValueError(f"{type(owner).__name__} expects a wavelength above 0. Received: wavelength={wavelength}")
    return wavelength
