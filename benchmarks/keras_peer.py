"""An encoder block by this library and by its peers, with the same weights and the same work.

All are pre-norm with epsilon 1e-6, and drop attention weights and the output of both branches. None drops the features
between the two maps of the feed-forward, for KerasHub's block has no such dropout.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks import steps
from benchmarks.case import Case
from benchmarks.peer import Peer
from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import EncoderBlock
from suite.layers.feed_forward import FeedForward


class KerasPeer(Peer):
    """A block made of Keras layers.

    Args:
        name: a name in `BLOCKS`.
    """

    def __init__(self, name: str) -> None:
        self.make, self.order, self.mask = BLOCKS[name]

    def device(self) -> str:
        return steps.device()

    def wait(self, result: Any) -> None:
        steps.wait(result)

    def prepare(self, case: Case) -> tuple[int, np.ndarray]:
        keras.backend.clear_session()
        keras.config.set_dtype_policy(case.precision)
        block = self.make(case)
        block.build((case.batch, case.length, case.width))
        weights = [array for name in self.order.split() for array in case.weights()[name]]
        for variable, value in zip(block.trainable_variables, weights, strict=True):
            variable.assign(value.reshape(variable.shape))
        x, target, real = case.arrays()
        mask = {self.mask: real} if case.masked else {}
        forward = steps.forward(block, x, mask)
        output = keras.ops.convert_to_numpy(keras.ops.cast(forward(), "float32"))
        self.start(steps.training(block, x, mask, target) if case.training else forward)
        return sum(array.size for array in weights), output

    def product(self, precision: str, size: int) -> steps.Step:
        a = keras.ops.ones((size, size), precision)
        return steps.compiled(keras.ops.matmul, a, a)


class KerasBlock(keras.layers.Layer):
    """The block one writes with Keras's own layers."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.supports_masking = True
        self.norm1, self.norm2 = (keras.layers.LayerNormalization(epsilon=1e-6) for _ in range(2))
        self.attention = keras.layers.MultiHeadAttention(case.heads, case.width // case.heads, dropout=case.dropout)
        self.inner = keras.layers.Dense(case.hidden, activation=case.activation)
        self.outer = keras.layers.Dense(case.width)
        self.dropout1, self.dropout2 = (keras.layers.Dropout(case.dropout) for _ in range(2))

    def build(self, shape: Any) -> None:
        """Make the weights for (B, T, D)."""
        self.attention.build(shape, shape)
        for part in (self.norm1, self.norm2, self.inner):
            part.build(shape)
        self.outer.build((*shape[:-1], self.inner.units))

    def call(self, x: Any, *, mask: Any = None, training: bool | None = None) -> Any:
        normed = self.norm1(x)
        mask = None if mask is None else mask[:, None, :]  # (B, 1, T)
        attended = self.attention(normed, normed, attention_mask=mask, training=training)
        x = x + self.dropout1(attended, training=training)
        return x + self.dropout2(self.outer(self.inner(self.norm2(x))), training=training)


def _suite(case: Case, kind: type[MultiHeadAttention]) -> keras.layers.Layer:
    return EncoderBlock(
        kind(case.heads, dropout=case.dropout),
        feed_forward=FeedForward(case.hidden, activation=case.activation),
        dropout=case.dropout,
    )


def _fused(case: Case) -> keras.layers.Layer:
    from suite.layers.fused import FusedAttention

    return _suite(case, FusedAttention)


def _chunked(case: Case) -> keras.layers.Layer:
    from suite.layers.chunked import ChunkedAttention

    return _suite(case, ChunkedAttention)


def _keras_hub(case: Case) -> keras.layers.Layer:
    from keras_hub.layers import TransformerEncoder

    return TransformerEncoder(
        case.hidden, case.heads, case.dropout, case.activation, layer_norm_epsilon=1e-6, normalize_first=True
    )


_ATTENTION = "query key value output"
BLOCKS: dict[str, tuple[Callable[[Case], keras.layers.Layer], str, str]] = {
    "suite": (lambda case: _suite(case, MultiHeadAttention), f"{_ATTENTION} inner outer norm1 norm2", "mask"),
    "suite_fused": (_fused, f"{_ATTENTION} inner outer norm1 norm2", "mask"),
    "suite_chunked": (_chunked, f"{_ATTENTION} inner outer norm1 norm2", "mask"),
    "keras": (KerasBlock, f"norm1 norm2 {_ATTENTION} inner outer", "mask"),
    "keras_hub": (_keras_hub, f"{_ATTENTION} norm1 norm2 inner outer", "padding_mask"),
}
"""How each block is made, the order of its weights, and its name for the real positions."""
