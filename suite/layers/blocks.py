"""Transformer blocks, and a stack of them.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras

from suite.layers.attention import MultiHeadAttention
from suite.layers.feed_forward import FeedForward
from suite.layers.positions import Position

Norm = Literal["pre", "post"]


@keras.saving.register_keras_serializable(package="suite")
class EncoderBlock(keras.layers.Layer):
    """Self-attention and a feed-forward, each with a residual path.

    With ``norm="pre"``, ``x + dropout(f(norm(x)))`` for each of the two, which trains without warm-up but leaves the
    last output to be normalised by whoever stacks the blocks; with ``norm="post"``, ``norm(x + dropout(f(x)))``.

    Args:
        attention: the number of heads of a `MultiHeadAttention`, or a layer that is called as one.
        feed_forward: the hidden width of a `FeedForward`, or a layer (B, T, D) -> (B, T, D).
        dropout: the fraction dropped in training: of the attention's weights and of the hidden features of what is
            built here, and of both residual branches.
        norm: where the two layer normalisations stand.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions; the others are not read.
        pair_mask: (T, T), (B, T, T) or (B, H, T, T) booleans, as `MultiHeadAttention` takes them.
        causal: whether position t may read positions 0 to t alone.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `norm` is unknown.

    Example:

    >>> import numpy as np
    >>> block = EncoderBlock(2, feed_forward=16, dropout=0.1)
    >>> tuple(block(np.ones((2, 3, 4), "float32"), mask=np.ones((2, 3), bool)).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762; for ``norm="pre"`` Xiong et al.
    2020, https://arxiv.org/abs/2002.04745.
    """

    def __init__(
        self,
        attention: int | keras.layers.Layer,
        *,
        feed_forward: int | keras.layers.Layer,
        dropout: float = 0.0,
        norm: Norm = "pre",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if norm not in get_args(Norm):
            raise ValueError(f"EncoderBlock expects norm to be one of {get_args(Norm)}. Received: norm={norm!r}")
        policy = self.dtype_policy
        if isinstance(attention, int):
            attention = MultiHeadAttention(attention, dropout=dropout, dtype=policy, name="attention")
        if isinstance(feed_forward, int):
            feed_forward = FeedForward(feed_forward, dropout=dropout, dtype=policy, name="feed_forward")
        self.attention = attention
        self.feed_forward = feed_forward
        self.norm = norm
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy, name="attention_norm")
        self.feed_forward_norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy, name="feed_forward_norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=policy, name="dropout")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Build the four parts for inputs (B, T, D)."""
        for part in (self.attention, self.feed_forward, self.attention_norm, self.feed_forward_norm):
            if not part.built:  # an injected layer that was loaded is
                part.build(input_shape)

    def call(
        self,
        inputs: Any,
        *,
        mask: Any = None,
        pair_mask: Any = None,
        causal: bool = False,
        training: bool | None = None,
    ) -> Any:
        def attend(x: Any) -> Any:
            return self.attention(x, mask=mask, pair_mask=pair_mask, causal=causal, training=training)

        def transform(x: Any) -> Any:
            return self.feed_forward(x, training=training)

        x = self._residual(inputs, attend, self.attention_norm, training)  # (B, T, D)
        return self._residual(x, transform, self.feed_forward_norm, training)  # (B, T, D)

    def _residual(self, x: Any, branch: Any, norm: Any, training: bool | None) -> Any:
        if self.norm == "pre":
            return x + self.dropout(branch(norm(x)), training=training)
        return norm(x + self.dropout(branch(x), training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "attention": keras.saving.serialize_keras_object(self.attention),
            "feed_forward": keras.saving.serialize_keras_object(self.feed_forward),
            "dropout": self.dropout.rate,
            "norm": self.norm,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> EncoderBlock:
        parts = {k: keras.saving.deserialize_keras_object(config[k]) for k in ("attention", "feed_forward")}
        return super().from_config({**config, **parts})


@keras.saving.register_keras_serializable(package="suite")
class Encoder(keras.layers.Layer):
    """A stack of equal `EncoderBlock`s as one layer; after pre-norm blocks a last normalisation follows.

    All blocks share one position scheme, so that a `RelativeBias` is one table for the whole stack, as in T5.

    Args:
        depth: the number of blocks.
        heads: the number of attention heads in each.
        feed_forward: the hidden width of each feed-forward.
        dropout: the fraction dropped in training, everywhere in the blocks.
        norm: ``"pre"`` or ``"post"``, where the blocks normalise.
        position: a `Position` for the attention of all blocks.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `depth` is below 1 or `norm` is unknown.

    Example:

    >>> import numpy as np
    >>> from suite.layers import Rotary
    >>> encoder = Encoder(2, heads=2, feed_forward=16, position=Rotary())
    >>> tuple(encoder(np.ones((2, 3, 4), "float32"), mask=np.ones((2, 3), bool)).shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        depth: int,
        *,
        heads: int,
        feed_forward: int,
        dropout: float = 0.0,
        norm: Norm = "pre",
        position: Position | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if depth < 1:
            raise ValueError(f"Encoder expects a depth of at least 1. Received: depth={depth}")
        self.depth = depth
        self.heads = heads
        self.hidden = feed_forward
        self.dropout = dropout
        self.norm = norm
        policy = self.dtype_policy
        self.position = Position() if position is None else position
        self.blocks = [
            EncoderBlock(
                MultiHeadAttention(heads, dropout=dropout, position=self.position, dtype=policy, name="attention"),
                feed_forward=feed_forward,
                dropout=dropout,
                norm=norm,
                dtype=policy,
                name=f"block_{i}",
            )
            for i in range(1, depth + 1)
        ]
        self.final_norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy, name="final_norm")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Build the blocks for inputs (B, T, D)."""
        for block in self.blocks:
            block.build(input_shape)
        if self.norm == "pre":
            self.final_norm.build(input_shape)

    def call(self, inputs: Any, *, mask: Any = None, training: bool | None = None) -> Any:
        x = inputs
        for block in self.blocks:
            x = block(x, mask=mask, training=training)  # (B, T, D)
        return self.final_norm(x) if self.norm == "pre" else x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth": self.depth,
            "heads": self.heads,
            "feed_forward": self.hidden,
            "dropout": self.dropout,
            "norm": self.norm,
            "position": keras.saving.serialize_keras_object(self.position),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Encoder:
        position = keras.saving.deserialize_keras_object(config["position"])
        return super().from_config({**config, "position": position})
