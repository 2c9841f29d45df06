"""The Transformer encoder with pre-norm blocks (Vaswani et al. 2017; Xiong et al. 2020), and its Universal form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suite import target
from suite.errors import InputError


class Config(BaseModel):
    """Sizes of the Transformer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, gt=0, description="Width of a token's vector between the blocks.")
    depth: int = Field(3, gt=0, description="Number of blocks, or of steps of one block where it is shared.")
    shared: bool = Field(
        False,
        description="One block, applied `depth` times with a learned signal of the step: a Universal Transformer.",
    )
    heads: int = Field(4, gt=0, description="Number of attention heads; divides the width.")
    ffn: int = Field(256, gt=0, description="Hidden width of the feed-forward.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Fraction dropped: attention weights, features, residuals.")
    position: Literal["rotary", "relative", "sinusoidal", "none"] = Field(
        "rotary", description="How a token knows where it stands."
    )
    attention: str = Field(
        "suite.layers:MultiHeadAttention",
        description="The attention layer, FILE_OR_MODULE:Class; one of your own, too.",
    )
    attention_options: dict[str, Any] = Field({}, description="Further arguments of the attention layer.")
    neighbours: int = Field(
        0, ge=0, description="Tokens that a convolutional position before the blocks sums, an odd number; 0: none."
    )

    @field_validator("attention")
    @classmethod
    def _attention_exists(cls, attention: str) -> str:
        target.parse(attention)
        return attention

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")
        if self.position == "rotary" and self.width // self.heads % 2:
            raise ValueError(
                f"position 'rotary' needs an even head width, and width {self.width} / heads {self.heads} "
                f"is {self.width // self.heads}"
            )
        if self.position == "sinusoidal" and self.width % 2:
            raise ValueError(f"position 'sinusoidal' needs an even width, and width is {self.width}")
        if self.neighbours and self.neighbours % 2 == 0:
            raise ValueError(f"neighbours {self.neighbours} is even: an odd number looks both ways alike")
        return self


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` blocks, or steps of one, and a final normalisation: x (B, T, width), mask (B, T) -> (B, T, width)."""
    import keras

    from suite import layers

    scheme = {"rotary": layers.Rotary, "relative": layers.RelativeBias}.get(config.position, layers.Position)
    attention_class = target.parse(config.attention).load()

    def attention() -> keras.layers.Layer:
        options = {"dropout": config.dropout, "position": scheme(), "name": "attention", **config.attention_options}
        try:
            return attention_class(config.heads, **options)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{config.attention} cannot be made with {config.heads} heads and {options}: {error}"
            ) from error

    def block(name: str) -> keras.layers.Layer:
        return layers.EncoderBlock(attention(), feed_forward=config.ffn, dropout=config.dropout, name=name)

    attention()  # an attention that cannot be made is refused before any model is built

    def encode(x: Any, mask: Any) -> Any:
        if config.neighbours:
            x = layers.ConvolutionalPosition(window=config.neighbours, name="neighbours")(x, mask=mask)
        if config.position == "sinusoidal":
            x = layers.Sinusoidal(name="position")(x)
        if config.shared:
            x = layers.Repeated(block("block"), steps=config.depth, name="repeated")(x, mask=mask)
        else:
            for i in range(1, config.depth + 1):
                x = block(f"block_{i}")(x, mask=mask)
        return keras.layers.LayerNormalization(epsilon=1e-6, name="final_norm")(x)

    return encode
