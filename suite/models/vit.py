"""The Vision Transformer (Dosovitskiy et al. 2021), and the Compact Convolutional Transformer (Hassani et al. 2021).

They differ in how they cut a picture into tokens: into patches, or by small convolutions whose tokens overlap, which
learns from far fewer pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

READS = "image"
MOST = 8  # rows and columns of tokens, where the configuration does not say how many convolutions there are


class Config(BaseModel):
    """Sizes of the Transformer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, gt=0, description="Width of a token's vector between the blocks.")
    depth: int = Field(2, gt=0, description="Number of blocks.")
    heads: int = Field(4, gt=0, description="Number of attention heads; divides the width.")
    ffn: int = Field(256, gt=0, description="Hidden width of the feed-forward.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Fraction dropped: attention weights, features, residuals.")
    drop_path: float = Field(0.0, ge=0, lt=1, description="How often a picture skips the last block's branches.")
    tokenizer: Literal["patch", "convolutional"] = Field("convolutional", description="Where tokens come from.")
    patch: int = Field(4, gt=0, description="Side of a patch in pixels.")
    rounds: int | None = Field(
        None,
        gt=0,
        description="Convolutions, each of which halves the grid of tokens; by default until it is at most 8 x 8.",
    )
    channels: int = Field(32, gt=0, description="Filters of the convolutions before the last, which has the width.")
    kernel: int = Field(3, gt=0, description="Side of the convolutions' filters in pixels; odd.")
    position: Literal["learned", "sinusoidal", "rotary", "none"] = Field(
        "learned", description="How a token knows its row and its column."
    )
    class_token: bool = Field(False, description="A token of its own in front, for a pooling that reads the first.")
    trained: list[int] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Rows and columns of the pictures for which positions were trained, where they were others.",
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")
        if self.position == "rotary" and self.width // self.heads % 4:
            raise ValueError(
                f"position 'rotary' needs a head width that 4 divides, and width {self.width} / heads {self.heads} "
                f"is {self.width // self.heads}"
            )
        if self.position == "sinusoidal" and self.width % 4:
            raise ValueError(f"position 'sinusoidal' needs a width that 4 divides, and width is {self.width}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even: an odd kernel looks both ways alike")
        return self


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """Tokens, positions, blocks: pixels (B, rows, columns, channels) -> (B, T, width), a vector for each token."""
    from suite import layers

    schemes = {"learned": layers.LearnedGrid, "sinusoidal": layers.SinusoidalGrid, "rotary": layers.RotaryGrid}

    def tokenizer(size: Sequence[int]) -> Any:
        if config.tokenizer == "patch":
            return layers.PatchEmbedding(config.width, patch=config.patch, pad=True, name="patches")
        rounds = config.rounds or max(1, math.ceil(math.log2(max(size) / MOST)))
        return layers.ConvolutionalTokenizer(
            config.width, depth=rounds, channels=config.channels, kernel=config.kernel, name="tokenizer"
        )

    def encode(pixels: Any, mask: Any = None) -> Any:
        trained = (None, *(config.trained or pixels.shape[1:3]), pixels.shape[-1])
        tokens = tokenizer(trained[1:3])
        x = tokens(pixels)  # (B, T, width)
        position = None
        if config.position != "none":
            position = schemes[config.position](
                tokens.grid(pixels.shape),
                trained_grid=tokens.grid(trained),
                prefix=int(config.class_token),
                name="position",
            )
        if config.class_token:
            x = layers.ClassToken(name="class_token")(x)  # (B, T + 1, width)
        block = layers.EncoderBlock(config.heads, feed_forward=config.ffn, dropout=config.dropout)
        return layers.Encoder(
            config.depth,
            block,
            position=position,
            dropout=config.dropout,
            drop_path=config.drop_path,
            name="encoder",
        )(x)

    return encode
