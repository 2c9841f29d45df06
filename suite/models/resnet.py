"""A small residual network (He et al. 2016), with pre-activation blocks and group normalisation.

Group normalisation (Wu and He 2018), because batches are small here and because what a picture gives must not depend on
what else is in its batch, nor training and prediction differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

READS = "image"


class Config(BaseModel):
    """Sizes of the residual network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(96, gt=0, description="Filters of the last stage; each stage before it has half as many.")
    stages: int = Field(3, gt=0, description="Stages; each after the first halves rows and columns.")
    blocks: int = Field(2, gt=0, description="Blocks in a stage, of two convolutions each.")
    kernel: int = Field(3, gt=0, description="Side of the filters in pixels; odd.")
    groups: int = Field(8, gt=0, description="Groups of filters that are normalised together; divides each width.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Fraction of filters dropped in each block, for all places.")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even: an odd kernel looks both ways alike")
        first = 2 ** (self.stages - 1) * self.groups
        if self.width % first:
            raise ValueError(
                f"width {self.width} is not divisible by {first}, as {self.stages} stages in {self.groups} groups need"
            )
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """The filters of each stage."""
        return tuple(self.width // 2 ** (self.stages - 1 - stage) for stage in range(self.stages))


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """Stages of residual blocks: pixels (B, rows, columns, channels) -> (B, T, width), a vector for each place."""
    import keras

    def convolution(width: int, kernel: int, name: str, *, stride: int = 1, bias: bool = False) -> keras.layers.Layer:
        options = {"padding": "same", "use_bias": bias, "data_format": "channels_last", "name": name}
        return keras.layers.Conv2D(width, kernel, strides=stride, kernel_initializer="he_normal", **options)

    def activated(x: Any, name: str) -> Any:
        norm = keras.layers.GroupNormalization(config.groups, axis=-1, epsilon=1e-5, name=f"{name}_norm")
        return keras.layers.ReLU(name=f"{name}_relu")(norm(x))

    def block(x: Any, width: int, stride: int, name: str) -> Any:
        entered = activated(x, f"{name}_first")
        if stride > 1 or x.shape[-1] != width:
            x = convolution(width, 1, f"{name}_path", stride=stride)(entered)
        y = convolution(width, config.kernel, f"{name}_first", stride=stride)(entered)
        y = activated(y, f"{name}_second")
        y = keras.layers.SpatialDropout2D(config.dropout, data_format="channels_last", name=f"{name}_dropout")(y)
        y = convolution(width, config.kernel, f"{name}_second")(y)
        return keras.layers.Add(name=f"{name}_residual")([x, y])

    def encode(pixels: Any, mask: Any = None) -> Any:
        x = convolution(config.widths[0], config.kernel, "stem")(pixels)  # (B, rows, columns, first width)
        for stage, width in enumerate(config.widths, start=1):
            for number in range(1, config.blocks + 1):
                stride = 2 if stage > 1 and number == 1 else 1
                x = block(x, width, stride, f"stage_{stage}_block_{number}")
        x = activated(x, "final")  # (B, r, c, width)
        return keras.layers.Reshape((-1, config.width), name="places")(x)  # (B, r * c, width)

    return encode
