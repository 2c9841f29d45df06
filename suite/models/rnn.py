"""Bidirectional LSTM: the field's standard tagger before Transformers (Lample et al. 2016; Ma and Hovy 2016).

The other recurrent architectures are this one with another cell or one direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    import keras


class Config(BaseModel):
    """Sizes of a recurrent network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directions: ClassVar[int] = 2

    width: int = Field(128, gt=0, description="Width of a token's vector, shared evenly by the directions.")
    depth: int = Field(2, gt=0, description="Number of recurrent layers.")
    dropout: float = Field(
        0.3, ge=0, lt=1, description="Fraction of each layer's input features dropped, the same at every position."
    )
    score: Literal["additive", "dot"] = Field(
        "additive", description="How the decoder's attention to the source compares: Bahdanau's or Luong's."
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.width % self.directions:
            raise ValueError(f"width {self.width} is not divisible by the {self.directions} directions")
        return self


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` bidirectional LSTM layers: x (B, T, width), mask (B, T) -> (B, T, width)."""
    return recurrent("LSTM", config)


def decoder(config: Config, memory: bool) -> keras.layers.Layer:
    """`depth` LSTM layers from left to right; with a memory, attention of one head above them."""
    return recurrent_decoder("LSTM", config, memory)


def recurrent_decoder(cell: Literal["LSTM", "GRU"], config: Config, memory: bool) -> keras.layers.Layer:
    """A stack of recurrent layers as `layers.RecurrentDecoder`."""
    from suite import layers

    kind = {"additive": layers.AdditiveAttention, "dot": layers.MultiHeadAttention}[config.score]
    attention = kind(1, dropout=config.dropout, name="cross_attention") if memory else None
    return layers.RecurrentDecoder(
        config.depth, cell=cell, cross_attention=attention, dropout=config.dropout, name="decoder"
    )


def recurrent(cell: Literal["LSTM", "GRU", "SimpleRNN"], config: Config) -> Callable[[Any, Any], Any]:
    """A stack of recurrent layers with residual paths from the second on, and variational dropout.

    Sequences are padded at their end. A padding position keeps the state, so the backward direction reaches the last
    real position with its initial state.

    Reference: Gal and Ghahramani 2016 (one dropout mask for all positions), https://arxiv.org/abs/1512.05287. Differs
    from the paper: the recurrent connection has no dropout, which keeps the fast kernels of accelerators usable.
    """
    import keras

    from suite import layers

    kind = getattr(layers, cell, None) or getattr(keras.layers, cell)

    def encode(x: Any, mask: Any) -> Any:
        for i in range(1, config.depth + 1):
            layer = kind(config.width // config.directions, return_sequences=True, name=f"{cell.lower()}_{i}")
            if config.directions == 2:
                layer = layers.Bidirectional(layer, name=f"bidirectional_{i}")
            dropped = keras.layers.SpatialDropout1D(config.dropout, name=f"dropout_{i}")(x)
            y = layer(dropped, mask=mask)
            x = y if i == 1 else keras.layers.Add(name=f"residual_{i}")([x, y])
        return x

    return encode
