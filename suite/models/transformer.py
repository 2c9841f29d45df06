"""The Transformer, encoder and decoder, with pre-norm blocks (Vaswani et al. 2017; Xiong et al. 2020), and its
Universal form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suite import target
from suite.errors import InputError

if TYPE_CHECKING:
    import keras


class Config(BaseModel):
    """Sizes of the Transformer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, gt=0, description="Width of a token's vector between the blocks.")
    depth: int = Field(3, gt=0, description="Number of blocks, or of steps of one block where it is shared.")
    shared: bool = Field(
        False,
        description="One block, applied `depth` times with a learned signal of the step, as the Universal "
        "Transformer's encoder.",
    )
    heads: int = Field(4, gt=0, description="Number of attention heads; divides the width.")
    decoder_depth: int | None = Field(None, gt=0, description="Number of the decoder's blocks; by default `depth`.")
    ffn: int = Field(256, gt=0, description="Hidden width of the feed-forward.")
    activation: Literal["relu", "gelu", "silu", "relu_squared"] = Field("relu", description="Of the feed-forward.")
    gated: bool = Field(False, description="A third matrix in the feed-forward: with silu SwiGLU.")
    norm: Literal["layer", "rms"] = Field("layer", description="Normalisation before each branch and at the end.")
    query_key_norm: bool = Field(False, description="Normalise each head's queries and keys.")
    bias: bool = Field(True, description="Whether the linear maps of the blocks have a bias.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Fraction dropped: attention weights, features, residuals.")
    inner_dropout: float | None = Field(
        None, ge=0, lt=1, description="Of attention weights and the feed-forward's features; by default `dropout`."
    )
    position: Literal["rotary", "relative", "alibi", "sinusoidal", "learned", "none"] = Field(
        "rotary", description="How a token knows where it stands."
    )
    longest: int = Field(512, gt=0, description="Positions in the table, where they are learned.")
    attention: str = Field(
        "suite.layers:MultiHeadAttention",
        description="The attention layer, FILE_OR_MODULE:Class; one of your own, too.",
    )
    attention_options: dict[str, Any] = Field({}, description="Further arguments of the attention layer.")
    neighbours: int = Field(
        0,
        ge=0,
        description="Tokens that a convolutional position before the encoder's blocks sums, an odd number; 0: none.",
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

    def block(name: str) -> keras.layers.Layer:
        position = _position(config)
        inside = position if position is not None and position.in_attention else layers.Position()
        return layers.EncoderBlock(_attention(config, position=inside), **_rest(config), name=name)

    _attention(config)  # one that cannot be made is refused before any model is built

    def encode(x: Any, mask: Any) -> Any:
        if config.neighbours:
            x = layers.ConvolutionalPosition(window=config.neighbours, name="neighbours")(x, mask=mask)
        if config.position in ("sinusoidal", "learned"):
            x = _position(config)(x)
        if config.shared:
            x = layers.Repeated(block("block"), steps=config.depth, name="repeated")(x, mask=mask)
        else:
            for i in range(1, config.depth + 1):
                x = block(f"block_{i}")(x, mask=mask)
        norms = {"layer": layers.LayerNormalization, "rms": keras.layers.RMSNormalization}
        if config.norm == "rms":  # Keras's takes no mask, though positions do not meet in it; a copy bears none
            x = keras.ops.copy(x)
        return norms[config.norm](epsilon=1e-6, name="final_norm")(x)

    return encode


def decoder(config: Config, memory: bool) -> keras.layers.Layer:
    """A causal `layers.Decoder`; with a memory its blocks have cross-attention."""
    from suite import layers

    block = layers.DecoderBlock(
        _attention(config), cross_attention=_attention(config) if memory else None, **_rest(config)
    )
    return layers.Decoder(
        config.decoder_depth or config.depth,
        block,
        position=_position(config),
        dropout=config.dropout,
        name="decoder",
    )


def _position(config: Config) -> Any:
    from suite import layers

    if config.position == "learned":
        return layers.Learned(config.longest, name="position")
    kinds = {
        "rotary": layers.Rotary,
        "relative": layers.RelativeBias,
        "alibi": layers.Alibi,
        "sinusoidal": layers.Sinusoidal,
    }
    return kinds[config.position](name="position") if config.position in kinds else None


def _attention(config: Config, **arguments: Any) -> keras.layers.Layer:
    options = {"dropout": _inner(config), "name": "attention", **arguments}
    # What the user's own layer may not know is given only where it is asked for.
    options |= {"query_key_norm": True} if config.query_key_norm else {}
    options |= {} if config.bias else {"use_bias": False}
    options |= config.attention_options
    try:
        return target.parse(config.attention).load()(config.heads, **options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{config.attention} cannot be made with {config.heads} heads and {options}: {error}"
        ) from error


def _inner(config: Config) -> float:
    return config.dropout if config.inner_dropout is None else config.inner_dropout


def _rest(config: Config) -> dict[str, Any]:
    """What the blocks of encoder and decoder share beside attention."""
    from suite import layers

    feed_forward = layers.FeedForward(
        config.ffn,
        activation=config.activation,
        gated=config.gated,
        use_bias=config.bias,
        dropout=_inner(config),
        name="feed_forward",
    )
    return {"feed_forward": feed_forward, "dropout": config.dropout, "norm": config.norm}
