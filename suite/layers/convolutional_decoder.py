"""A decoder of causal convolutions, which reads a memory by attention.

Shapes: B batch, T new tokens, S length of the memory, D width, R positions that a block looks back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from suite.layers.arguments import check_sizes
from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import given
from suite.layers.cache import StateCache
from suite.layers.decoder import check_memory
from suite.layers.residual import Norm, Residual
from suite.layers.stacks import Decoder


@keras.saving.register_keras_serializable(package="suite")
class ConvolutionalDecoderBlock(keras.layers.Layer):
    """A causal, gated, dilated convolution, and optionally attention to a memory, each with a residual path.

    ``x + dropout(a * sigmoid(g))``, where a and g at position t are sums over j from 0 to kernel - 1 of
    ``W_j norm(x)[t - j * dilation]``; then ``x + dropout(attention(norm(x), memory))``.

    Masking: padding is read as zeros, exactly as the space before the sequence, so neither its content nor its amount
    at the left or right changes a real position.

    With a cache, `inputs` are the next T tokens only. It keeps the R = (kernel - 1) * dilation last inputs of the
    convolution, however long the sequence grows.

    Args:
        kernel: the number of positions that one output sees, itself among them.
        dilation: the distance between two of them, in positions.
        cross_attention: the number of heads of a `MultiHeadAttention` to a memory, or a layer that is called as one;
            by default there is none.
        dropout: the fraction dropped in training: of either branch, and of the attention's weights.
        norm: ``"layer"`` or ``"rms"``, with epsilon 1e-6, or a layer of which each path gets one of its own.
        drop_path: stochastic depth, the probability that a row of the batch skips a branch in training.

    Call arguments:
        inputs: (B, T, D) floating point.
        memory: (B, S, D_m), for the cross-attention; with a cache that holds one it is left out.
        mask: (B, T) booleans, True at real positions of `inputs`.
        memory_mask: (B, S) booleans, True at real positions of `memory`.
        positions: integers, which are not read: a convolution knows the order by itself.
        cache: a `StateCache`, from `make_cache`.

    Returns:
        (B, T, D); with `cache` that and the new cache.

    Raises:
        ValueError: where `kernel` is below 2 or `dilation` below 1, and as `DecoderBlock`.

    Example:

    >>> import numpy as np
    >>> block = ConvolutionalDecoderBlock(3, dilation=2)
    >>> x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    >>> whole = block(x)
    >>> first, cache = block(x[:, :3], cache=block.make_cache(2, 5))
    >>> last, cache = block(x[:, 3:], cache=cache)
    >>> bool(ops.max(ops.abs(last - whole[:, 3:])) < 1e-5), tuple(cache.state[0].shape)
    (True, (2, 4, 4))

    Reference: Gehring et al. 2017, section 3, https://arxiv.org/abs/1705.03122; Kalchbrenner et al. 2016 (dilation),
    https://arxiv.org/abs/1610.10099. Differs from the first: normalisation before each branch in place of weight
    normalisation and scaling by the root of 1/2, attention with heads and projections whose queries do not read the
    embedding again, and values without the source's embeddings.
    """

    def __init__(
        self,
        kernel: int = 3,
        *,
        dilation: int = 1,
        cross_attention: int | keras.layers.Layer | None = None,
        dropout: float = 0.0,
        norm: Norm = "layer",
        drop_path: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(self, dilation=dilation)
        if kernel < 2:
            raise ValueError(f"{type(self).__name__} expects a kernel of at least 2. Received: kernel={kernel}")
        self.kernel = kernel
        self.dilation = dilation
        if isinstance(cross_attention, int):
            cross_attention = MultiHeadAttention(
                cross_attention, dropout=dropout, dtype=self.dtype_policy, name="cross_attention"
            )
        self.cross_attention: Any = cross_attention
        names = ("convolution",) if cross_attention is None else ("convolution", "cross_attention")
        self.residuals = [
            Residual(norm, dropout=dropout, drop_path=drop_path, dtype=self.dtype_policy, name=f"{name}_residual")
            for name in names
        ]
        self.supports_masking = True

    @property
    def reach(self) -> int:
        """R, how many positions before its own the convolution sees."""
        return (self.kernel - 1) * self.dilation

    def build(self, inputs_shape: Any, memory_shape: Any = None) -> None:
        """Make the filters and the attention for inputs (B, T, D) and a memory (B, S, D_m)."""
        width = inputs_shape[-1]
        self.filters = keras.layers.Conv1D(
            2 * width, self.kernel, dilation_rate=self.dilation, dtype=self.dtype_policy, name="filters"
        )
        self.filters.build((inputs_shape[0], None, inputs_shape[-1]))  # few tokens are no fault
        for residual in self.residuals:
            residual.build(inputs_shape)
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
        positions: Any = None,
        cache: StateCache | None = None,
        training: bool | None = None,
    ) -> Any:
        held = () if cache is None else cache.memory
        check_memory(self, memory, held)
        path = self.residuals[0]
        new = path.enter(inputs)  # (B, T, D)
        if mask is not None:
            new = ops.where(mask[..., None], new, ops.zeros_like(new))
        before = self._nothing(ops.shape(new)[0]) if cache is None else cache.state[0]
        seen = ops.concatenate([before, new], axis=1)  # (B, R + T, D)
        value, gate = ops.split(self.filters(seen), 2, axis=-1)  # (B, T, D) each
        x = path.leave(inputs, value * ops.sigmoid(gate), training=training)
        if self.cross_attention is not None:
            path = self.residuals[1]
            read = given(mask=mask, cache=held) if held else given(mask=mask, key=memory, key_mask=memory_mask)
            y = self.cross_attention(path.enter(x), training=training, **read)
            x = path.leave(x, y[0] if held else y, training=training)
        if cache is None:
            return x
        return x, StateCache((seen[:, -self.reach :],), cache.length + ops.shape(new)[1], held)

    def make_cache(self, batch: Any, length: int, *, memory: Any = None, memory_mask: Any = None) -> StateCache:
        """A cache for a batch of sequences of any length.

        Args:
            batch: B.
            length: the number of tokens, which makes no difference here.
            memory: (B, S, D_m), which is projected now, once; without it every call gives the memory.
            memory_mask: (B, S) booleans, True at real positions of `memory`.

        Raises:
            ValueError: before the block is built, and for a memory that has no place.
        """
        if not self.built:
            raise ValueError(f"{type(self).__name__} expects to be built before a cache is made. Received: built=False")
        held: Any = ()
        if memory is not None:
            check_memory(self, memory)
            held = self.cross_attention.memory_cache(memory, mask=memory_mask)
        return StateCache((self._nothing(batch),), ops.zeros((), "int32"), held)

    def _nothing(self, batch: Any) -> Any:
        return ops.zeros((batch, self.reach, self.filters.filters // 2), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        residual = self.residuals[0].get_config()
        return {
            **super().get_config(),
            "kernel": self.kernel,
            "dilation": self.dilation,
            "cross_attention": keras.saving.serialize_keras_object(self.cross_attention),
            **{k: residual[k] for k in ("dropout", "norm", "drop_path")},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        parts = {k: keras.saving.deserialize_keras_object(config[k]) for k in ("cross_attention", "norm")}
        return super().from_config({**config, **parts})


@keras.saving.register_keras_serializable(package="suite")
class ConvolutionalDecoder(Decoder):
    """A stack of `ConvolutionalDecoderBlock`s whose dilations follow each other in a cycle.

    It is called as `Decoder` is, has caches as it has, and stands in its place in `LanguageModel` and
    `EncoderDecoder`. An output sees itself and the sum of the blocks' `reach` before it.

    Masking: as `ConvolutionalDecoderBlock`.

    Args:
        depth: the number of blocks.
        block: a prototype of them.
        dilations: of the first block, the second and so on; after the last one it begins again.
        **kwargs: `dropout`, `final_norm`, `remat` and `drop_path` as of `Decoder`, and a `position` that is added to
            embeddings.

    Call arguments:
        inputs: (B, T, D) floating point; with a cache the next T tokens alone.
        memory: (B, S, D_m), for blocks with cross-attention; with a cache that holds one it is left out.
        mask: (B, T) booleans, True at real positions of `inputs`.
        memory_mask: (B, S) booleans, True at real positions of `memory`.
        positions: (T,) or (B, T) integers, for `position`; by default they count from 0, or from the cache's length.
        cache: a `StateCache` for each block, from `make_cache`.

    Returns:
        (B, T, D); with `cache` that and the new cache.

    Raises:
        ValueError: as `Decoder`, for no dilation or one below 1, and for a position that acts inside attention.

    Example:

    >>> import numpy as np
    >>> decoder = ConvolutionalDecoder(3, ConvolutionalDecoderBlock(3), dilations=(1, 2, 4))
    >>> tuple(decoder(np.ones((2, 5, 4), "float32")).shape), sum(block.reach for block in decoder.blocks)
    ((2, 5, 4), 14)

    Reference: as of `ConvolutionalDecoderBlock`.
    """

    def __init__(
        self, depth: int, block: ConvolutionalDecoderBlock, *, dilations: Sequence[int] = (1,), **kwargs: Any
    ) -> None:
        position = kwargs.get("position")
        if not dilations or (position is not None and position.in_attention):
            raise ValueError(
                f"{type(self).__name__} expects dilations, and a position that is added to embeddings. "
                f"Received: dilations={dilations}, position={position}"
            )
        self.dilations = tuple(dilations)
        super().__init__(depth, block, **kwargs)

    def changes(self, number: int) -> dict[str, Any]:
        """Block `number` has its own dilation."""
        return {"dilation": self.dilations[(number - 1) % len(self.dilations)]}

    def make_cache(
        self, batch: Any, length: int, *, memory: Any = None, memory_mask: Any = None, rolling: bool = False
    ) -> tuple[Any, ...]:
        """Empty caches, one for each block; they are of one size for any `length`, and so always rolling."""
        return tuple(block.make_cache(batch, length, memory=memory, memory_mask=memory_mask) for block in self.blocks)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilations": self.dilations}
