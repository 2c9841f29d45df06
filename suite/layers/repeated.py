"""One block, run several times: a Transformer that shares its weights over depth.

Shapes: B batch, T length, D width, N steps.
"""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from suite.layers.arguments import check_sizes
from suite.layers.blocks import Block


@keras.saving.register_keras_serializable(package="suite")
class Repeated(keras.layers.Layer):
    """A block that refines its own output: ``x <- block(x + signal_n)`` for n from 1 to `steps`.

    All steps share the block's weights, and a learned vector tells them apart. So what is found out in one step, such
    as who holds a thing, can be used by the same weights in the next, and a rule is learned once for all depths.

    Masking: a position that is not real is not read, and what comes out there means nothing.

    Args:
        block: an `EncoderBlock`, or a layer that is called as one.
        steps: N, how often it runs.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions; the others are not read.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `steps` is below 1.

    Example:

    >>> import numpy as np
    >>> from suite.layers import EncoderBlock
    >>> layer = Repeated(EncoderBlock(2, feed_forward=16), steps=3)
    >>> tuple(layer(np.ones((2, 3, 4), "float32"), mask=np.ones((2, 3), bool)).shape)
    (2, 3, 4)

    Reference: Dehghani et al. 2019, Universal Transformers, section 2.1, https://arxiv.org/abs/1807.03819. Differs from
    the paper: the signal of a step is learned, that of a position belongs to the attention, the number of steps is
    fixed, and the norms are the block's.
    """

    def __init__(self, block: Block, *, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(self, steps=steps)
        self.block = block
        self.steps = steps
        self.supports_masking = True

    def build(self, inputs_shape: Any) -> None:
        """Make the signals and build the block for inputs (B, T, D)."""
        if not self.block.built:
            self.block.build(inputs_shape)
        shape = (self.steps, inputs_shape[-1])
        self.signals = self.add_weight(name="embeddings", shape=shape, initializer="zeros", autocast=False)

    def call(self, inputs: Any, *, mask: Any = None, training: bool | None = None) -> Any:
        x = inputs
        for step in range(self.steps):
            x = x + ops.cast(self.signals[step], x.dtype)
            x = self.block(x, mask=mask, training=training)  # (B, T, D)
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self.block),
            "steps": self.steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return super().from_config({**config, "block": keras.saving.deserialize_keras_object(config["block"])})
