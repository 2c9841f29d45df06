"""Stacks of equal blocks: the encoder and the decoder.

Shapes: B batch, T length, S length of the memory, D width, H heads.
"""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from suite.layers.arguments import check_sizes
from suite.layers.blocks import Block, given
from suite.layers.clone import clone, recipe
from suite.layers.decoder import BlockCache
from suite.layers.dropout import Dropout
from suite.layers.positions import Position
from suite.layers.remat import Recompute
from suite.layers.residual import Norm, normalization


class Stack(keras.layers.Layer):
    """What `Encoder` and `Decoder` share, and document: blocks from one prototype, a position scheme, a last norm."""

    def __init__(
        self,
        depth: int,
        block: Block,
        *,
        position: Position | None = None,
        dropout: float = 0.0,
        final_norm: Norm | None = "auto",
        remat: bool = False,
        drop_path: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(self, depth=depth)
        if not 0 <= drop_path < 1:
            raise ValueError(
                f"{type(self).__name__} expects drop_path from 0 to below 1. Received: drop_path={drop_path}"
            )
        self.depth = depth
        self.remat = remat
        self.drop_path = drop_path
        self.position = position
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.recompute = Recompute(name="recompute")
        self._block, self._final_norm = recipe(block), recipe(final_norm)
        self.blocks = [self._clone(block, number) for number in range(1, depth + 1)]
        self.final_norm = self._last(block, final_norm)
        self.supports_masking = True

    @property
    def longest(self) -> int | None:
        """The number of positions that its scheme knows, or None where any is as good as another."""
        return None if self.position is None else self.position.longest

    def build(self, inputs_shape: Any) -> None:
        """Build the parts for inputs (B, T, D)."""
        if self.position is not None and not self.position.in_attention and not self.position.built:
            self.position.build(inputs_shape)
        for block in self.blocks:
            if not block.built:
                block.build(inputs_shape)
        if self.final_norm is not None:
            self.final_norm.build(inputs_shape)

    def enter(self, x: Any, positions: Any, *, start: Any = 0, training: bool | None = None) -> Any:
        """(B, T, D) -> what the first block reads: a scheme that acts on embeddings is added here, once."""
        if self.position is not None:
            x = self.position.embed(x, start + ops.arange(ops.shape(x)[1]) if positions is None else positions)
        return self.input_dropout(x, training=training)

    def run(self, block: Block, x: Any, tensors: dict[str, Any], *, training: bool | None, **options: bool) -> Any:
        """One block; with `remat`, in training, what it computes on the way is computed again for the gradient."""
        if self.remat and training:
            return self.recompute(x, layer=block, tensors=given(**tensors), options={"training": True, **options})
        return block(x, training=training, **options, **given(**tensors))

    def changes(self, number: int) -> dict[str, Any]:
        """A hook: in which arguments block `number`, from 1 to `depth`, differs from the prototype."""
        return {}

    def leave(self, x: Any) -> Any:
        """What the last block gives -> what the stack gives, (B, T, D)."""
        return x if self.final_norm is None else self.final_norm(x)

    def _clone(self, block: Block, number: int) -> Any:
        rate = {"drop_path": self.drop_path * number / self.depth} if self.drop_path else {}
        new: Any = clone(block, name=f"block_{number}", **rate, **self.changes(number))
        if self.position is not None and self.position.in_attention:
            if new.attention.position is not None:
                raise ValueError(
                    f"{type(self).__name__} expects a position of its own or one in the block's attention, not both. "
                    f"Received: position={self.position}, attention.position={new.attention.position}"
                )
            new.attention.position = self.position  # one scheme, and one table, for the whole stack
        return new

    def _last(self, block: Block, final_norm: Norm | None) -> keras.layers.Layer | None:
        if final_norm == "auto":
            inside = block.residuals[0]
            if inside.placement == "post":
                return None
            return normalization(inside.norm, dtype=self.dtype_policy, name="final_norm")
        if final_norm is None:
            return None
        return normalization(final_norm, dtype=self.dtype_policy, name="final_norm")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth": self.depth,
            "block": self._block,
            "position": keras.saving.serialize_keras_object(self.position),
            "dropout": self.input_dropout.rate,
            "final_norm": self._final_norm,
            "remat": self.remat,
            "drop_path": self.drop_path,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        parts = {k: keras.saving.deserialize_keras_object(config[k]) for k in ("block", "position", "final_norm")}
        return super().from_config({**config, **parts})


@keras.saving.register_keras_serializable(package="suite")
class Encoder(Stack):
    """A stack of equal `EncoderBlock`s, with one position scheme and a last normalisation.

    The blocks share the scheme: a `RelativeBias` is one table for all of them, as in T5, and a scheme that acts on
    embeddings, such as `Sinusoidal`, is added once to the inputs.

    Masking: a position that is not real is not read, and what comes out there means nothing.

    Args:
        depth: the number of blocks.
        block: a prototype; `depth` new blocks are made from its configuration, and it is not used itself.
        position: a `Position` for all blocks. It excludes one in the prototype's attention, which would be a scheme for
            each block.
        dropout: the fraction of the inputs dropped in training, after positions were added.
        final_norm: ``"layer"``, ``"rms"``, a layer to make it from, or None; ``"auto"`` takes the blocks' norm after
            placements that leave the last output without one, which are ``"pre"`` and ``"sandwich"``.
        remat: whether a block's activations are computed again in the backward pass rather than kept: memory for one
            block rather than for all, for the time of a second forward pass. It acts in training alone.
        drop_path: stochastic depth of the last block; that of block l is ``drop_path * l / depth``. At 0 the blocks
            keep the prototype's.

    Call arguments:
        inputs: (B, T, D) floating point.
        mask: (B, T) booleans, True at real positions; the others are not read.
        pair_mask: (T, T), (B, T, T) or (B, H, T, T) booleans, as `MultiHeadAttention` takes them.
        causal: whether position t may read positions 0 to t alone.
        bias: floating point, broadcastable to (B, H, T, T), added to the scores in every block.
        positions: (T,) or (B, T) integers; by default they count from 0.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `depth` is below 1, a rate outside 0 to 1 or a position given twice.

    Example:

    >>> import numpy as np
    >>> from suite.layers import EncoderBlock, Rotary
    >>> encoder = Encoder(2, EncoderBlock(2, feed_forward=16), position=Rotary())
    >>> tuple(encoder(np.ones((2, 3, 4), "float32"), mask=np.ones((2, 3), bool)).shape)
    (2, 3, 4)

    Reference: Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762; Raffel et al. 2020, T5, section 2.1
    (shared bias), https://arxiv.org/abs/1910.10683; Huang et al. 2016, section 3 (rates that grow with depth),
    https://arxiv.org/abs/1603.09382; Chen et al. 2016 (rematerialization), https://arxiv.org/abs/1604.06174.
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
        tensors = {"mask": mask, "pair_mask": pair_mask, "bias": bias, "positions": positions}
        x = self.enter(inputs, positions, training=training)  # (B, T, D)
        for block in self.blocks:
            x = self.run(block, x, tensors, causal=causal, training=training)  # (B, T, D)
        return self.leave(x)


@keras.saving.register_keras_serializable(package="suite")
class Decoder(Stack):
    """A stack of equal `DecoderBlock`s, with one position scheme and a last normalisation; always causal.

    Everything that `Encoder` says of its blocks, position and rematerialization holds here. Cross-attention has no
    position.

    Masking: neither a position of `inputs` nor one of `memory` that is not real is read.

    Args:
        depth: the number of blocks.
        block: a prototype; `depth` new blocks are made from its configuration, and it is not used itself.
        position: a `Position` for all blocks, as of `Encoder`.
        dropout: the fraction of the inputs dropped in training, after positions were added.
        final_norm: as of `Encoder`.
        remat: whether a block's activations are computed again in the backward pass rather than kept.
        drop_path: stochastic depth of the last block; that of block l is ``drop_path * l / depth``.

    Call arguments:
        inputs: (B, T, D) floating point; with a cache the next T tokens alone.
        memory: (B, S, D_m), for blocks with cross-attention; with a cache that holds one it is left out.
        mask: (B, T) booleans, True at real positions of `inputs`.
        memory_mask: (B, S) booleans, True at real positions of `memory`.
        pair_mask: booleans for the self-attention, as `MultiHeadAttention` takes them.
        bias: floating point for the self-attention, broadcastable to its scores.
        positions: (T,) or (B, T) integers; by default they count from 0, or from the cache's length.
        cache: a `BlockCache` for each block, from `make_cache`.

    Returns:
        (B, T, D); with `cache` that and the new cache.

    Raises:
        ValueError: as `Encoder`, and where a memory is missing or has no place.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from suite.layers import DecoderBlock, Rotary
    >>> decoder = Decoder(2, DecoderBlock(2, feed_forward=16), position=Rotary())
    >>> x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    >>> whole = decoder(x)
    >>> cache = decoder.make_cache(2, 3)
    >>> first, cache = decoder(x[:, :2], cache=cache)
    >>> last, cache = decoder(x[:, 2:], cache=cache)
    >>> bool(ops.max(ops.abs(last - whole[:, 2:])) < 1e-5)
    True

    Reference: see `Encoder`.
    """

    @property
    def takes_pair_mask(self) -> bool:
        """Whether the self-attention of every block obeys a `pair_mask`."""
        return all(block.attention.takes_pair_mask for block in self.blocks)

    def build(self, inputs_shape: Any, memory_shape: Any = None) -> None:
        """Build the blocks for inputs (B, T, D) and a memory (B, S, D_m)."""
        for block in self.blocks:
            block.build(inputs_shape, memory_shape)
        super().build(inputs_shape)

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
        cache: tuple[BlockCache, ...] | None = None,
        training: bool | None = None,
    ) -> Any:
        tensors = {"memory": memory, "mask": mask, "memory_mask": memory_mask}
        tensors |= {"pair_mask": pair_mask, "bias": bias, "positions": positions}
        start = 0 if cache is None else cache[0].length
        x = self.enter(inputs, positions, start=start, training=training)  # (B, T, D)
        if cache is None:
            for block in self.blocks:
                x = self.run(block, x, tensors, training=training)  # (B, T, D)
            return self.leave(x)
        kept = []
        for block, held in zip(self.blocks, cache, strict=True):
            x, held = block(x, cache=held, training=training, **given(**tensors))  # (B, T, D)
            kept.append(held)
        return self.leave(x), tuple(kept)

    def make_cache(
        self, batch: Any, length: int, *, memory: Any = None, memory_mask: Any = None, rolling: bool = False
    ) -> tuple[BlockCache, ...]:
        """Empty caches, one for each block, as `DecoderBlock.make_cache` makes them."""
        return tuple(
            block.make_cache(batch, length, memory=memory, memory_mask=memory_mask, rolling=rolling)
            for block in self.blocks
        )
