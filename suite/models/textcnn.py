"""Convolutions of several widths side by side, made for pooling (Kim 2014, "Convolutional neural networks for sentence
classification", https://arxiv.org/abs/1408.5882)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Sizes of the convolutional network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(96, gt=0, description="Filters in all, shared evenly by the windows.")
    windows: list[int] = Field([3, 4, 5], min_length=1, description="Positions that a filter sees, one size a branch.")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if min(self.windows) < 1 or len(set(self.windows)) < len(self.windows):
            raise ValueError(f"windows {self.windows}: expected different sizes of at least 1")
        if self.width % len(self.windows):
            raise ValueError(f"width {self.width} is not divisible by the {len(self.windows)} windows")
        return self


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """One convolution a window, with a rectifier, side by side: x (B, T, width), mask (B, T) -> (B, T, width).

    Padding is read as zeros, as the space beyond the ends of the sequence.
    """
    import keras
    from keras import ops

    def encode(x: Any, mask: Any) -> Any:
        x = ops.where(mask[..., None], x, ops.zeros_like(x))
        filters = config.width // len(config.windows)
        branches = [
            keras.layers.Conv1D(filters, window, padding="same", activation="relu", name=f"window_{window}")(x)
            for window in config.windows
        ]
        return branches[0] if len(branches) == 1 else keras.layers.Concatenate(name="windows")(branches)

    return encode
