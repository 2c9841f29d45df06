"""One attention layer over a long sequence, in a process of its own.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks import memory, steps
from benchmarks.peer import Peer
from suite.layers.attention import MultiHeadAttention
from suite.layers.chunked import ChunkedAttention
from suite.layers.fused import FusedAttention
from suite.layers.linear import LinearAttention
from suite.layers.local import LocalAttention


class KerasAttention(keras.layers.Layer):
    """Keras's own attention over one input."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__()
        self.attention = keras.layers.MultiHeadAttention(heads, head_width)

    def build(self, shape: Any) -> None:
        """Make the weights for (B, T, D)."""
        self.attention.build(shape, shape)

    def call(self, x: Any, *, training: bool | None = None) -> Any:
        return self.attention(x, x, training=training)


KINDS: dict[str, Callable[[int, int, int], keras.layers.Layer]] = {
    "plain": lambda heads, head_width, size: MultiHeadAttention(heads),
    "fused": lambda heads, head_width, size: FusedAttention(heads),
    "chunked": lambda heads, head_width, size: ChunkedAttention(heads, chunk=size),
    "local": lambda heads, head_width, size: LocalAttention(heads, window=size),
    "linear": lambda heads, head_width, size: LinearAttention(heads),
    "keras": lambda heads, head_width, size: KerasAttention(heads, head_width),
}
"""Layers by name, made of heads, head width, and chunk or window."""


class AttentionPeer(Peer):
    """An attention layer of one kind.

    Args:
        kind: a name in `KINDS`.
        size: the chunk or the window, where the kind has one.
    """

    def __init__(self, kind: str, size: int) -> None:
        memory.give_way()
        self.kind, self.size = kind, size

    def device(self) -> str:
        return steps.device()

    def wait(self, result: Any) -> None:
        steps.wait(result)

    def measure(
        self, batch: int, length: int, heads: int, head_width: int, training: bool, precision: str
    ) -> tuple[int, int, np.ndarray]:
        """Compile and run. The peak in bytes, the number of weights, and the output or the loss."""
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(precision)
        shape = (batch, length, heads * head_width)
        layer = KINDS[self.kind](heads, head_width, self.size)
        layer.build(shape)
        generator = np.random.default_rng(0)
        for weight in layer.trainable_variables:  # of query, key, value and output, in this order
            weight.assign(generator.normal(0, shape[-1] ** -0.5, weight.shape))
        x, target = generator.normal(size=(2, *shape)).astype("float32")
        run = steps.training(layer, x, {}, target) if training else steps.forward(layer, x, {})
        result: Any = None

        def call() -> None:
            nonlocal result
            result = run()
            self.wait(result)

        peak = memory.peak_above(call)
        self.run, self.calls = run, 1
        return peak, layer.count_params(), keras.ops.convert_to_numpy(keras.ops.cast(result, "float32"))
