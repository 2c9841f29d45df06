"""The block of a decoder, which reads what came before and, if it has one, a memory.

Shapes: B batch, T new tokens, S length of the memory, D width, H heads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import Block, given
from suite.layers.cache import MemoryCache, take_memory
from suite.layers.residual import Norm, Placement


class BlockCache(NamedTuple):
    """What one `DecoderBlock` keeps between steps; a stack keeps a tuple of them, one for each block.

    Attributes:
        self_attention: a `Cache` of the tokens so far.
        memory: a `MemoryCache` of the memory, or ``()``, which loops of every backend take where they refuse None.
    """

    self_attention: Any
    memory: Any

    @property
    def length(self) -> Any:
        """() integer, the number of tokens so far, padding included."""
        return self.self_attention.length

    def take(self, rows: Any, *, memory: bool = True) -> BlockCache:
        """The cache of these rows of the batch, (R,) integers; with ``memory=False`` places keep their memories.

        A beam search asks for the latter: its rows change places only with those that read the same memory.
        """
        held = take_memory(self.memory, rows) if memory else self.memory
        return BlockCache(self.self_attention.take(rows), held)


def check_memory(owner: Any, memory: Any, held: MemoryCache | tuple[()] = ()) -> None:
    """Raise a ValueError unless a layer with `cross_attention` gets one memory, and one without it none."""
    wanted = 0 if owner.cross_attention is None else 1
    came = (["an argument"] if memory is not None else []) + (["a cache"] if held else [])
    if len(came) != wanted:
        raise ValueError(
            f"{type(owner).__name__} expects one memory where it has a cross_attention, and none where not. "
            f"Received: cross_attention={owner.cross_attention}, memory from {' and '.join(came) or 'nowhere'}"
        )


@keras.saving.register_keras_serializable(package="suite")
class DecoderBlock(Block):
    """Causal self-attention, optionally cross-attention to a memory, and a feed-forward, each with a residual path.

    ``x + dropout(f(norm(x)))`` for each of them with the defaults; see `EncoderBlock` for the other forms. It is always
    causal. With ``parallel=True`` all branches, cross-attention included, read the same normalised input.

    Masking: neither a position of `inputs` nor one of `memory` that is not real is read.

    With a cache, `inputs` are the next T tokens only, and the outputs are those that the whole sequence would have at
    their places.

    Args:
        attention: the number of heads of a `MultiHeadAttention`, or a layer that is called as one.
        feed_forward: the hidden width of a `FeedForward`, or a layer (B, T, D) -> (B, T, D).
        cross_attention: likewise the attention to a memory; by default there is none.
        dropout: the fraction dropped in training: of the attentions' weights and of the hidden features of what is
            built here, and of every residual branch.
        norm: ``"layer"`` or ``"rms"``, with epsilon 1e-6, or a layer of which each path gets one of its own.
        placement: ``"pre"``, ``"post"`` or ``"sandwich"``, where the normalisations stand.
        parallel: whether the branches run side by side rather than one after the other.
        layer_scale: the first value of a learned scale of each branch's features; by default there is none.
        drop_path: stochastic depth, the probability that a row of the batch skips a branch in training.

    Call arguments:
        inputs: (B, T, D) floating point.
        memory: (B, S, D_m), for the cross-attention; with a cache that holds one it is left out.
        mask: (B, T) booleans, True at real positions of `inputs`.
        memory_mask: (B, S) booleans, True at real positions of `memory`.
        pair_mask: booleans for the self-attention, as `MultiHeadAttention` takes them.
        bias: floating point for the self-attention, broadcastable to its scores.
        positions: (T,) or (B, T) integers; by default they count from 0, or from the cache's length.
        cache: a `BlockCache`, from `make_cache`.

    Returns:
        (B, T, D); with `cache` that and the new cache.

    Raises:
        ValueError: where `norm` or `placement` is unknown or a rate is outside 0 to 1; where a memory comes without
            `cross_attention`, or is missing with it.

    Example:

    >>> import numpy as np
    >>> block = DecoderBlock(2, feed_forward=16, cross_attention=2)
    >>> x, memory = np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")
    >>> tuple(block(x, memory).shape)
    (2, 3, 4)
    >>> cache = block.make_cache(2, 7, memory=memory)
    >>> y, cache = block(x, cache=cache)
    >>> tuple(y.shape), int(cache.self_attention.length)
    ((2, 3, 4), 3)

    Reference: Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762; for the rest see `EncoderBlock`.
    """

    def __init__(
        self,
        attention: int | keras.layers.Layer,
        *,
        feed_forward: int | keras.layers.Layer,
        cross_attention: int | keras.layers.Layer | None = None,
        dropout: float = 0.0,
        norm: Norm = "layer",
        placement: Placement = "pre",
        parallel: bool = False,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if cross_attention is not None:
            self.branches = ("attention", "cross_attention", "feed_forward")
        super().__init__(
            attention,
            feed_forward=feed_forward,
            dropout=dropout,
            norm=norm,
            placement=placement,
            parallel=parallel,
            layer_scale=layer_scale,
            drop_path=drop_path,
            **kwargs,
        )
        if isinstance(cross_attention, int):
            cross_attention = MultiHeadAttention(
                cross_attention, dropout=dropout, dtype=self.dtype_policy, name="cross_attention"
            )
        self.cross_attention: Any = cross_attention

    def build(self, inputs_shape: Any, memory_shape: Any = None) -> None:
        """Build the parts for inputs (B, T, D) and a memory (B, S, D_m)."""
        super().build(inputs_shape)
        if self.cross_attention is not None and not self.cross_attention.built:
            check_memory(self, memory_shape)
            self.cross_attention.build(inputs_shape, memory_shape)

    def call(
        self,
        inputs: Any,
        memory: Any = None,
        *,
        mask: Any = None,
        memory_mask: Any = None,
        pair_mask: Any = None,
        bias: Any = None,
        positions: Any = None,
        cache: BlockCache | None = None,
        training: bool | None = None,
    ) -> Any:
        kept, held = (None, ()) if cache is None else cache
        check_memory(self, memory, held)
        wanted = given(mask=mask, pair_mask=pair_mask, bias=bias, positions=positions)
        read = given(mask=mask, cache=held) if held else given(mask=mask, key=memory, key_mask=memory_mask)

        def attend(x: Any) -> Any:
            nonlocal kept
            if kept is None:
                return self.attention(x, causal=True, training=training, **wanted)
            x, kept = self.attention(x, causal=True, cache=kept, training=training, **wanted)
            return x

        def cross(x: Any) -> Any:
            x = self.cross_attention(x, training=training, **read)
            return x[0] if held else x

        def transform(x: Any) -> Any:
            return self.feed_forward(x, training=training)

        branches = (attend, transform) if self.cross_attention is None else (attend, cross, transform)
        x = self.chain(inputs, branches, training)  # (B, T, D)
        return x if cache is None else (x, BlockCache(kept, held))

    def make_cache(
        self, batch: Any, length: int, *, memory: Any = None, memory_mask: Any = None, rolling: bool = False
    ) -> BlockCache:
        """An empty cache for a batch of sequences of at most `length` tokens.

        Args:
            batch: B.
            length: the number of slots.
            memory: (B, S, D_m), which is projected now, once; without it every call gives the memory.
            memory_mask: (B, S) booleans, True at real positions of `memory`.
            rolling: whether the newest tokens alone are kept, for a self-attention with a window.

        Raises:
            ValueError: before the block is built, and for a rolling cache shorter than the window.
        """
        kept = self.attention.make_cache(batch, length, **({"rolling": True} if rolling else {}))
        if memory is None:
            return BlockCache(kept, ())
        check_memory(self, memory)
        return BlockCache(kept, self.cross_attention.memory_cache(memory, mask=memory_mask))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cross_attention": keras.saving.serialize_keras_object(self.cross_attention),
        }
