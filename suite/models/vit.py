"""The Vision Transformer (Dosovitskiy et al. 2021), and the Compact Convolutional Transformer (Hassani et al. 2021).

They differ in how they cut a picture into tokens: into patches, or by small convolutions whose tokens overlap, which
learns from far fewer pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

READS = "image"


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
    rounds: int = Field(2, gt=0, description="Convolutions, each of which halves the grid of tokens.")
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

    if config.tokenizer == "patch":
        tokenizer: Any = layers.PatchEmbedding(config.width, patch=config.patch, pad=True, name="patches")
    else:
        tokenizer = layers.ConvolutionalTokenizer(
            config.width, depth=config.rounds, channels=config.channels, kernel=config.kernel, name="tokenizer"
        )
    schemes = {"learned": layers.LearnedGrid, "sinusoidal": layers.SinusoidalGrid, "rotary": layers.RotaryGrid}

    def encode(pixels: Any, mask: Any = None) -> Any:
        x = tokenizer(pixels)  # (B, T, width)
        position = None
        if config.position != "none":
            trained = (None, *config.trained, pixels.shape[-1]) if config.trained else pixels.shape
            position = schemes[config.position](
                tokenizer.grid(pixels.shape),
                trained_grid=tokenizer.grid(trained),
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
