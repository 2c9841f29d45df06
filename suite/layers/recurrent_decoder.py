"""A decoder of LSTM or GRU layers, which reads a memory by attention.

Shapes: B batch, T new tokens, S length of the memory, D width.
"""

from __future__ import annotations

from typing import Any, Literal, Self, TypeAlias, get_args

import keras
from keras import ops

from suite.layers.arguments import check_mask, check_sizes
from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import given
from suite.layers.cache import StateCache
from suite.layers.decoder import check_memory
from suite.layers.recurrent import GRU, LSTM

Cell: TypeAlias = Literal["LSTM", "GRU"]
_KINDS: dict[Cell, type[LSTM | GRU]] = {"LSTM": LSTM, "GRU": GRU}


@keras.saving.register_keras_serializable(package="suite")
class RecurrentDecoder(keras.layers.Layer):
    """A stack of recurrent layers and, if it has one, attention to a memory above them.

    ``h = recurrent(dropout(x))`` in the first layer and ``h + recurrent(dropout(h))`` in each further one; then, with
    a memory, ``tanh(W [h; attention(h, memory)])``. No step reads the attention of the one before, so training runs
    over whole sequences, with the fast kernel of an accelerator.

    It is called as `Decoder` is, has caches as it has, and stands in its place in `LanguageModel` and
    `EncoderDecoder`. A cache holds the states of the layers, of one size for any length.

    Masking: a state passes by what is not real as if it were not there, wherever it stands, and what comes out there
    means nothing. `memory` is read at its real positions alone.

    Args:
        depth: the number of recurrent layers, of D units each.
        cell: ``"LSTM"`` or ``"GRU"``.
        cross_attention: the number of heads of a `MultiHeadAttention` to a memory, or a layer that is called as one,
            such as an `AdditiveAttention`; by default there is none.
        dropout: the fraction of each layer's input features, and of what comes out, dropped in training, the same at
            every position; and of the attention's weights.

    Call arguments:
        inputs: (B, T, D) floating point; with a cache the next T tokens alone.
        memory: (B, S, D_m), for the cross-attention; with a cache that holds one it is left out.
        mask: (B, T) booleans, True at real positions of `inputs`.
        memory_mask: (B, S) booleans, True at real positions of `memory`.
        positions: integers, which are not read: a state knows the order by itself.
        cache: a `StateCache` for each layer, from `make_cache`.

    Returns:
        (B, T, D); with `cache` that and the new cache.

    Raises:
        ValueError: where `depth` is below 1 or `cell` unknown, for a mask of a wrong shape or type, and as
            `DecoderBlock` for a memory that is missing or has no place.

    Example:

    >>> import numpy as np
    >>> from suite.layers import AdditiveAttention
    >>> decoder = RecurrentDecoder(2, cell="GRU", cross_attention=AdditiveAttention(1))
    >>> x, memory = np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")
    >>> tuple(decoder(x, memory).shape)
    (2, 3, 4)
    >>> y, cache = decoder(x, cache=decoder.make_cache(2, 3, memory=memory))
    >>> [tuple(layer.state[0].shape) for layer in cache]
    [(2, 4), (2, 4)]

    Reference: Luong et al. 2015, sections 3 and 3.1, equation 5, https://arxiv.org/abs/1508.04025; Bahdanau et al. 2015
    (the additive score), https://arxiv.org/abs/1409.0473; Gal and Ghahramani 2016 (dropout),
    https://arxiv.org/abs/1512.05287. Differs from the first: residual paths, projections in the attention, and no
    feeding of the attention's output into the next step; from the last: no dropout between steps.
    """

    def __init__(
        self,
        depth: int,
        *,
        cell: Cell = "LSTM",
        cross_attention: int | keras.layers.Layer | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(self, depth=depth)
        if cell not in get_args(Cell):
            raise ValueError(
                f"{type(self).__name__} expects cell to be one of {get_args(Cell)}. Received: cell={cell!r}"
            )
        self.depth = depth
        self.cell = cell
        if isinstance(cross_attention, int):
            cross_attention = MultiHeadAttention(
                cross_attention, dropout=dropout, dtype=self.dtype_policy, name="cross_attention"
            )
        self.cross_attention: Any = cross_attention
        self.dropout = keras.layers.SpatialDropout1D(dropout, dtype=self.dtype_policy, name="dropout")
        self.supports_masking = True

    def build(self, inputs_shape: Any, memory_shape: Any = None) -> None:
        """Make the layers for inputs (B, T, D) and a memory (B, S, D_m)."""
        width, kind = inputs_shape[-1], _KINDS[self.cell]
        self.recurrent = [
            kind(width, return_sequences=True, dtype=self.dtype_policy, name=f"{self.cell.lower()}_{number}")
            for number in range(1, self.depth + 1)
        ]
        for layer in self.recurrent:
            layer.build(inputs_shape)
        if self.cross_attention is None:
            return
        if not self.cross_attention.built:
            check_memory(self, memory_shape)
            self.cross_attention.build(inputs_shape, memory_shape)
        self.merge = keras.layers.Dense(width, activation="tanh", dtype=self.dtype_policy, name="merge")
        self.merge.build((*inputs_shape[:-1], 2 * width))

    def call(
        self,
        inputs: Any,
        memory: Any = None,
        *,
        mask: Any = None,
        memory_mask: Any = None,
        positions: Any = None,
        cache: tuple[StateCache, ...] | None = None,
        training: bool | None = None,
    ) -> Any:
        held = () if cache is None else cache[-1].memory
        check_memory(self, memory, held)
        check_mask(self, "mask", mask, tuple(inputs.shape[:2]))
        if cache is None:
            x = self._whole(inputs, mask, training)  # (B, T, D)
        else:
            x, cache = self._onward(inputs, mask, cache)
        if self.cross_attention is not None:
            read = given(mask=mask, cache=held) if held else given(mask=mask, key=memory, key_mask=memory_mask)
            context = self.cross_attention(x, training=training, **read)
            x = self.merge(ops.concatenate([x, context[0] if held else context], axis=-1))  # (B, T, D)
        x = self.dropout(x, training=training)
        return x if cache is None else (x, cache)

    def _whole(self, x: Any, mask: Any, training: bool | None) -> Any:
        """All tokens at once. The real ones move to the front, so that Keras needs no mask and takes fast kernels."""
        if mask is not None:
            place = ops.arange(ops.shape(x)[1], dtype="int32")
            order = ops.argsort(ops.where(mask, place, place + ops.shape(x)[1]), axis=1)  # (B, T)
            x = ops.take_along_axis(x, order[..., None], axis=1)
        for number, layer in enumerate(self.recurrent):
            y = layer(self.dropout(x, training=training), training=training)  # (B, T, D)
            x = x + y if number else y
        return x if mask is None else ops.take_along_axis(x, ops.argsort(order, axis=1)[..., None], axis=1)

    def _onward(self, x: Any, mask: Any, cache: tuple[StateCache, ...]) -> tuple[Any, tuple[StateCache, ...]]:
        """The next tokens, from the states in the cache, step by step through the same cells."""
        kept, tokens = [], ops.shape(x)[1]
        for number, (layer, held) in enumerate(zip(self.recurrent, cache, strict=True)):
            y, state = _steps(layer.cell, x, mask, held.state)  # (B, T, D)
            x = x + y if number else y
            kept.append(StateCache(state, held.length + tokens, held.memory))
        return x, tuple(kept)

    def make_cache(
        self, batch: Any, length: int, *, memory: Any = None, memory_mask: Any = None, rolling: bool = False
    ) -> tuple[StateCache, ...]:
        """Caches for a batch of sequences of any length, one for each layer; the last holds the memory.

        Args:
            batch: B.
            length: the number of tokens, which makes no difference here.
            memory: (B, S, D_m), which is projected now, once; without it every call gives the memory.
            memory_mask: (B, S) booleans, True at real positions of `memory`.
            rolling: makes no difference, either.

        Raises:
            ValueError: before the layer is built, and for a memory that has no place.
        """
        if not self.built:
            raise ValueError(f"{type(self).__name__} expects to be built before a cache is made. Received: built=False")
        held: Any = ()
        if memory is not None:
            check_memory(self, memory)
            held = self.cross_attention.memory_cache(memory, mask=memory_mask)
        zero = ops.zeros((), "int32")
        states = [tuple(layer.get_initial_state(batch)) for layer in self.recurrent]
        memories = [()] * (self.depth - 1) + [held]
        return tuple(StateCache(state, zero, own) for state, own in zip(states, memories, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth": self.depth,
            "cell": self.cell,
            "cross_attention": keras.saving.serialize_keras_object(self.cross_attention),
            "dropout": self.dropout.rate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return super().from_config(
            {**config, "cross_attention": keras.saving.deserialize_keras_object(config["cross_attention"])}
        )


def _steps(cell: Any, x: Any, mask: Any, state: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Tokens (B, T, D), real ones (B, T) or None, states (B, D) each -> outputs (B, T, D), states."""

    def step(state: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        new = cell(now[0], list(state))[1]  # (B, D) each; the first is the output, too
        if mask is not None:
            new = [ops.where(now[1][:, None], a, b) for a, b in zip(new, state, strict=True)]
        return tuple(new), tuple(new)

    parts = (x,) if mask is None else (x, mask)
    if x.shape[1] == 1:  # one step needs no loop
        state, _ = step(state, tuple(part[:, 0] for part in parts))
        return state[0][:, None], state
    state, passed = ops.scan(step, state, tuple(ops.moveaxis(part, 1, 0) for part in parts))  # (T, B, D) each
    return ops.moveaxis(passed[0], 0, 1), state
