"""Transformer blocks: the base of them all, and the one of an encoder.

Shapes: B batch, T length, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras

from suite.layers.attention import MultiHeadAttention
from suite.layers.feed_forward import FeedForward
from suite.layers.residual import Norm, Placement, Residual


class Block(keras.layers.Layer):
    """What `EncoderBlock` and `DecoderBlock` share, and document: injected parts, and residual paths around them.

    A subclass names its branches in the attribute `branches`, in their order, and runs them through `chain`.
    """

    branches: tuple[str, ...] = ("attention", "feed_forward")

    def __init__(
        self,
        attention: int | keras.layers.Layer,
        *,
        feed_forward: int | keras.layers.Layer,
        dropout: float = 0.0,
        norm: Norm = "layer",
        placement: Placement = "pre",
        parallel: bool = False,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(attention, int):
            attention = MultiHeadAttention(attention, dropout=dropout, dtype=self.dtype_policy, name="attention")
        if isinstance(feed_forward, int):
            feed_forward = FeedForward(feed_forward, dropout=dropout, dtype=self.dtype_policy, name="feed_forward")
        self.attention = attention
        self.feed_forward = feed_forward
        self.parallel = parallel
        self.residuals = [
            Residual(
                norm,
                placement=placement,
                dropout=dropout,
                drop_path=drop_path,
                layer_scale=layer_scale,
                dtype=self.dtype_policy,
                name=name,
            )
            for name in (("residual",) if parallel else (f"{branch}_residual" for branch in self.branches))
        ]
        self.supports_masking = True

    def build(self, inputs_shape: Any) -> None:
        """Build the parts for inputs (B, T, D)."""
        for part in (self.attention, self.feed_forward, *self.residuals):
            if not part.built:  # an injected layer that was loaded is
                part.build(inputs_shape)

    def chain(self, x: Any, branches: Sequence[Callable[[Any], Any]], training: bool | None) -> Any:
        """(B, T, D) through all branches: one after the other, or all from the same input with one residual path."""
        if self.parallel:
            (residual,) = self.residuals
            entered = residual.enter(x)
            first, *others = (branch(entered) for branch in branches)
            return residual.leave(x, sum(others, start=first), training=training)
        for residual, branch in zip(self.residuals, branches, strict=True):
            x = residual.leave(x, branch(residual.enter(x)), training=training)  # (B, T, D)
        return x

    def get_config(self) -> dict[str, Any]:
        residual = self.residuals[0].get_config()
        shared: dict[str, Any] = {k: residual[k] for k in ("dropout", "norm", "placement", "layer_scale", "drop_path")}
        return {
            **super().get_config(),
            "attention": keras.saving.serialize_keras_object(self.attention),
            "feed_forward": keras.saving.serialize_keras_object(self.feed_forward),
            "parallel": self.parallel,
            **shared,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        parts = [k for k in ("attention", "cross_attention", "feed_forward", "norm") if k in config]
        made: dict[str, Any] = {k: keras.saving.deserialize_keras_object(config[k]) for k in parts}
        return super().from_config({**config, **made})


@keras.saving.register_keras_serializable(package="suite")
class EncoderBlock(Block):
    """Self-attention and a feed-forward, each with a residual path.

    With the defaults, ``x + dropout(f(norm(x)))`` for each of the two; `Residual` has the formulas of the other
    placements, of layer scale and of stochastic depth. With ``parallel=True`` both read the same normalised input and
    their sum has one residual path: ``x + dropout(attention(norm(x)) + feed_forward(norm(x)))``.

    Masking: a position that is not real is not read, and what comes out there means nothing.

    Args:
        attention: the number of heads of a `MultiHeadAttention`, or a layer that is called as one.
        feed_forward: the hidden width of a `FeedForward`, or a layer (B, T, D) -> (B, T, D).
        dropout: the fraction dropped in training: of the attention's weights and of the hidden features of what is
            built here, and of every residual branch.
        norm: ``"layer"`` or ``"rms"``, with epsilon 1e-6, or a layer of which each path gets one of its own.
        placement: ``"pre"``, ``"post"`` or ``"sandwich"``, where the normalisations stand.
        parallel: whether the branches run side by side rather than one after the other.
        layer_scale: the first value of a learned scale of each branch's features; by default there is none.
        drop_path: stochastic depth, the probability that a row of the batch skips a branch in training.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions; the others are not read.
        pair_mask: (T, T), (B, T, T) or (B, H, T, T) booleans, as `MultiHeadAttention` takes them.
        causal: whether position t may read positions 0 to t alone.
        bias: floating point, broadcastable to (B, H, T, T), added to the scores.
        positions: (T,) or (B, T) integers; by default they count from 0.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `norm` or `placement` is unknown or a rate is outside 0 to 1.

    Example:

    >>> import numpy as np
    >>> block = EncoderBlock(2, feed_forward=16, dropout=0.1, norm="rms")
    >>> tuple(block(np.ones((2, 3, 4), "float32"), mask=np.ones((2, 3), bool)).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762; Chowdhery et al. 2022, PaLM, section
    2 (parallel), https://arxiv.org/abs/2204.02311; for the rest see `Residual`.
    """

    def call(
        self,
        inputs: Any,
        *,
        mask: Any = None,
        pair_mask: Any = None,
        causal: bool = False,
        bias: Any = None,
        positions: Any = None,
        training: bool | None = None,
    ) -> Any:
        wanted = given(mask=mask, pair_mask=pair_mask, causal=causal or None, bias=bias, positions=positions)

        def attend(x: Any) -> Any:
            return self.attention(x, training=training, **wanted)

        def transform(x: Any) -> Any:
            return self.feed_forward(x, training=training)

        return self.chain(inputs, [attend, transform], training)  # (B, T, D)


def given(**arguments: Any) -> dict[str, Any]:
    """Those that are not None, so that an injected part need not know an argument that nobody uses."""
    return {k: v for k, v in arguments.items() if v is not None}
