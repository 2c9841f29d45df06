"""Where a token stands: added to the embeddings, or injected into attention.

Shapes: B batch, T query length, S key length, D width, H heads, W head width.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="suite")
class Position(keras.layers.Layer):
    """What a model asks of a position scheme; this one does nothing, and a scheme overrides what it needs.

    A scheme is injected: ``MultiHeadAttention(8, position=Rotary())``, ``Encoder(6, block, position=Sinusoidal())``.
    It acts in one of three places: on the embeddings (`embed`), on queries and keys (`rotate`), or on the scores
    (`bias`). Weights are made in `build`, which receives (B, T, D), the shape of the embeddings, from a stack, and
    (B, H, T, W), that of the projected queries, from attention.

    Positions are int32 numbers, (T,) for all rows alike or (B, T). They count from 0 in a plain call and from the
    cache's length in a step with a cache; for packed sequences the caller gives them.

    Call arguments:
        inputs: (B, T, D) floating point.
        positions: by default 0 to T - 1.

    Returns:
        (B, T, D), what `embed` makes of the inputs.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, *, positions: Any = None) -> Any:
        return self.embed(inputs, ops.arange(ops.shape(inputs)[1]) if positions is None else positions)

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
    def in_attention(self) -> bool:
        """Whether it acts inside attention rather than on the embeddings."""
        cls = type(self)
        return cls.rotate is not Position.rotate or cls.bias is not Position.bias


def per_row(positions: Any) -> Any:
    """Positions (T,) or (B, T) -> (1, T) or (B, T), int32."""
    positions = ops.cast(positions, "int32")
    return positions[None] if len(positions.shape) == 1 else positions


@keras.saving.register_keras_serializable(package="suite")
class Rotary(Position):
    """Rotary position embedding (RoPE): turns queries and keys so that their product knows their distance.

    The features (x_i, x_{i + W/2}) of position t are turned by the angle ``t * wavelength ** (-2 i / W)``. Angles and
    products are computed in float32 at least and cast last. It has no weights and bounds no length.

    Args:
        wavelength: the base of the geometric series of wavelengths.

    Raises:
        ValueError: where the head width is odd.

    Example:

    >>> import numpy as np
    >>> turned = Rotary().rotate(np.array([[[[1, 0], [1, 0], [1, 0]]]], "float32"), np.arange(3))
    >>> [[f"{x:.2f}" for x in row] for row in np.asarray(turned)[0, 0]]  # angles 0, 1, 2
    [['1.00', '0.00'], ['0.54', '0.84'], ['-0.42', '0.91']]

    Reference: Su et al. 2021, RoFormer, https://arxiv.org/abs/2104.09864. Differs from the paper: feature i is paired
    with i + W/2 rather than with its neighbour, as GPT-NeoX and KerasHub do; the two differ by a permutation.
    """

    def __init__(self, *, wavelength: float = 10_000.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wavelength = wavelength

    def rotate(self, x: Any, positions: Any) -> Any:
        """(B, H, T, W), positions (T,) or (B, T) -> (B, H, T, W)."""
        width = x.shape[-1]
        if width % 2:
            raise ValueError(f"Rotary expects an even head width. Received: head width {width}")
        wide = keras.backend.result_type(x.dtype, "float32")
        frequencies = self.wavelength ** (-ops.arange(0, width, 2, dtype=wide) / width)  # (W / 2)
        angles = ops.cast(per_row(positions), wide)[:, None, :, None] * frequencies  # (B or 1, 1, T, W / 2)
        cos, sin = ops.cos(angles), ops.sin(angles)
        first, second = ops.split(ops.cast(x, wide), 2, axis=-1)  # (B, H, T, W / 2); slices have slow gradients
        turned = ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
        return ops.cast(turned, x.dtype)  # (B, H, T, W)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "wavelength": self.wavelength}


@keras.saving.register_keras_serializable(package="suite")
class RelativeBias(Position):
    """A learned score for each head and each bucket of distance and direction, added to the attention scores.

    Distances below a quarter of the buckets have a bucket each; beyond, buckets grow logarithmically up to
    `max_distance`, from where all share the last. Keys before and after the query have buckets of their own, which is
    what tagging needs: the word before a name tells something else than the word after it.

    Args:
        buckets: their number over both directions; even, at least 4.
        max_distance: the distance in tokens from which on all keys share a bucket; more than ``buckets / 4``.

    Raises:
        ValueError: where `buckets` or `max_distance` is impossible.

    Example:

    >>> import numpy as np
    >>> layer = RelativeBias(buckets=8, max_distance=16)
    >>> layer.build((None, 4, None, 32))
    >>> tuple(layer.bias(np.arange(3), np.arange(5)).shape)
    (1, 4, 3, 5)

    Reference: Raffel et al. 2020, T5, section 2.1, https://arxiv.org/abs/1910.10683.
    """

    def __init__(self, *, buckets: int = 32, max_distance: int = 128, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if buckets < 4 or buckets % 2:
            raise ValueError(f"RelativeBias expects an even number of buckets, at least 4. Received: buckets={buckets}")
        if max_distance <= buckets // 4:
            raise ValueError(
                f"RelativeBias expects max_distance above buckets / 4 = {buckets // 4}. "
                f"Received: max_distance={max_distance}"
            )
        self.buckets = buckets
        self.max_distance = max_distance

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the table for the H heads of projected queries (B, H, T, W)."""
        table = (self.buckets, shape[1])
        self.table = self.add_weight(name="bias_table", shape=table, initializer="zeros", autocast=False)

    def bucket(self, distance: Any) -> Any:
        """Integer distances, key minus query -> bucket numbers of the same shape."""
        side = self.buckets // 2
        exact = side // 2
        length = ops.abs(distance)
        growth = ops.log(ops.cast(ops.maximum(length, 1), "float32") / exact) / math.log(self.max_distance / exact)
        far = ops.minimum(exact + ops.cast(growth * (side - exact), "int32"), side - 1)
        return ops.where(distance > 0, side, 0) + ops.where(length < exact, length, far)

    def bias(self, query_positions: Any, key_positions: Any) -> Any:
        """Positions (T,) or (B, T), (S,) or (B, S) -> (B or 1, H, T, S)."""
        distance = per_row(key_positions)[:, None, :] - per_row(query_positions)[:, :, None]  # (B or 1, T, S)
        scores = ops.take(ops.cast(self.table, "float32"), self.bucket(distance), axis=0)  # (B or 1, T, S, H)
        return ops.transpose(scores, (0, 3, 1, 2))  # (B or 1, H, T, S)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "buckets": self.buckets, "max_distance": self.max_distance}


@keras.saving.register_keras_serializable(package="suite")
class Sinusoidal(Position):
    """Adds fixed sines and cosines of the position to a sequence of embeddings.

    Feature 2i of position t is ``sin(t * wavelength ** (-2 i / D))`` and feature 2i + 1 the cosine, computed in
    float32 at least and cast last. It has no weights and bounds no length.

    Args:
        wavelength: the base of the geometric series of wavelengths.

    Call arguments:
        inputs: (B, T, D) floating point, D even.
        positions: (T,) or (B, T) integers; by default 0 to T - 1.

    Returns:
        (B, T, D), of the inputs' type.

    Raises:
        ValueError: where D is odd.

    Example:

    >>> import numpy as np
    >>> tuple(Sinusoidal()(np.zeros((2, 3, 4), "float32")).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.5, https://arxiv.org/abs/1706.03762. Differs from the paper: embeddings
    are not multiplied by the root of D.
    """

    def __init__(self, *, wavelength: float = 10_000.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wavelength = wavelength

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the width."""
        if input_shape[-1] is None or input_shape[-1] % 2:
            raise ValueError(f"Sinusoidal expects an even width. Received: inputs of shape {tuple(input_shape)}")

    def embed(self, x: Any, positions: Any) -> Any:
        """(B, T, D), positions (T,) or (B, T) -> (B, T, D)."""
        width = x.shape[-1]
        wide = keras.backend.result_type(x.dtype, "float32")
        frequencies = self.wavelength ** (-ops.arange(0, width, 2, dtype=wide) / width)  # (D / 2)
        angles = ops.cast(per_row(positions), wide)[:, :, None] * frequencies  # (B or 1, T, D / 2)
        table = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # (B or 1, T, D / 2, 2)
        table = ops.reshape(table, (*ops.shape(angles)[:2], width))  # (B or 1, T, D)
        return ops.cast(ops.cast(x, wide) + table, x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "wavelength": self.wavelength}
