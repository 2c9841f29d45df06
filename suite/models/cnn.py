"""Gated, dilated convolutions with residual paths (Strubell et al. 2017; Dauphin et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    import keras


class Config(BaseModel):
    """Sizes of the convolutional network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, gt=0, description="Width of a token's vector.")
    depth: int = Field(4, gt=0, description="Number of convolutions.")
    kernel: int = Field(3, gt=0, description="Positions that one convolution sees; odd, to look both ways alike.")
    cycle: int = Field(3, gt=0, description="Dilations are 1, 2, 4 ... for this many convolutions, then 1 again.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Fraction of each convolution's output dropped.")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even: an odd kernel looks both ways alike")
        return self

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of each convolution, in positions."""
        return tuple(2 ** (i % self.cycle) for i in range(self.depth))

    @property
    def receptive_field(self) -> int:
        """How many positions, itself among them, an output can see: 17 with the defaults."""
        return 1 + (self.kernel - 1) * sum(self.dilations)


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` residual convolutions and a final normalisation: x (B, T, width), mask (B, T) -> (B, T, width)."""
    from suite import layers

    def encode(x: Any, mask: Any) -> Any:
        for i, dilation in enumerate(config.dilations, start=1):
            block = layers.ConvolutionBlock(
                config.kernel, dilation=dilation, dropout=config.dropout, name=f"convolution_{i}"
            )
            x = block(x, mask=mask)
        return layers.LayerNormalization(epsilon=1e-6, name="final_norm")(x)

    return encode


def decoder(config: Config, memory: bool) -> keras.layers.Layer:
    """`depth` causal convolutions of the same dilations; with a memory, attention of one head in each."""
    from suite import layers

    block = layers.ConvolutionalDecoderBlock(
        config.kernel, cross_attention=1 if memory else None, dropout=config.dropout
    )
    return layers.ConvolutionalDecoder(config.depth, block, dilations=config.dilations, name="decoder")
