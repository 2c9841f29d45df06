"""Rotary position embedding.

Shapes: B batch, T length, H heads, W head width, R features that are turned.
"""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from suite.layers.positions import Position, angles, check_wavelength, frequencies, per_row
from suite.layers.rotary_scaling import RotaryScaling


@keras.saving.register_keras_serializable(package="suite")
class Rotary(Position):
    """Rotary position embedding (RoPE): turns queries and keys so that their product knows their distance.

    The features (x_i, x_{i + R/2}) of position t are turned by the angle ``t * wavelength ** (-2 i / R)``. Angles and
    products are computed in float32 at least and cast last. It has no weights and bounds no length.

    Args:
        wavelength: the base of the geometric series of wavelengths.
        rotary_width: R, how many of the leading features are turned; by default all W. The others stay as they are.
        interleaved: whether feature 2i is paired with its neighbour 2i + 1, rather than i with i + R/2.
        scaling: a `RotaryScaling`, for positions beyond those of training; by default none.

    Raises:
        ValueError: where R is odd or more than W, and for a wavelength of 0 or less.

    Example:

    >>> import numpy as np
    >>> turned = Rotary().rotate(np.array([[[[1, 0], [1, 0], [1, 0]]]], "float32"), np.arange(3))
    >>> [[f"{x:.2f}" for x in row] for row in np.asarray(turned)[0, 0]]  # angles 0, 1, 2
    [['1.00', '0.00'], ['0.54', '0.84'], ['-0.42', '0.91']]

    Reference: Su et al. 2021, RoFormer, https://arxiv.org/abs/2104.09864, which is ``interleaved=True``. Differs from
    the paper by default: the halves are paired, as in GPT-NeoX, Llama and KerasHub; the two differ by a permutation.
    Black et al. 2022, GPT-NeoX, section 2.1.1 (rotary_width), https://arxiv.org/abs/2204.06745.
    """

    def __init__(
        self,
        *,
        wavelength: float = 10_000.0,
        rotary_width: int | None = None,
        interleaved: bool = False,
        scaling: RotaryScaling | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if rotary_width is not None and (rotary_width < 2 or rotary_width % 2):
            raise ValueError(f"Rotary expects an even rotary_width. Received: rotary_width={rotary_width}")
        self.wavelength = check_wavelength(self, wavelength)
        self.rotary_width = rotary_width
        self.interleaved = interleaved
        self.scaling = scaling

    def rotate(self, x: Any, positions: Any) -> Any:
        """(B, H, T, W), positions (T,) or (B, T) -> (B, H, T, W)."""
        width = x.shape[-1] if self.rotary_width is None else self.rotary_width
        if width % 2:
            raise ValueError(f"Rotary expects an even head width. Received: head width {width}")
        if width > x.shape[-1]:
            raise ValueError(
                f"Rotary expects a head width of at least rotary_width={width}. Received: head width {x.shape[-1]}"
            )
        if self.scaling is None:
            frequency, factor = frequencies(width, self.wavelength), 1.0
        else:
            frequency, factor = self.scaling.frequencies(width, self.wavelength), self.scaling.attention_factor
        wide = keras.backend.result_type(x.dtype, "float32")
        angle = angles(per_row(positions), frequency, wide)  # (B or 1, T, R / 2)
        return turn(x, angle, interleaved=self.interleaved, factor=factor)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "wavelength": self.wavelength,
            "rotary_width": self.rotary_width,
            "interleaved": self.interleaved,
            "scaling": keras.saving.serialize_keras_object(self.scaling),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        scaling = keras.saving.deserialize_keras_object(config.get("scaling"))
        return super().from_config({**config, "scaling": scaling})


def turn(x: Any, angle: Any, *, interleaved: bool = False, factor: float = 1.0) -> Any:
    """Turn pairs of the leading R features of (B, H, T, W) by angles (B or 1, T, R / 2), and multiply them by a factor.

    Computed in the angles' type, cast last.
    """
    half = angle.shape[-1]
    head, rest = (x, None) if x.shape[-1] == 2 * half else ops.split(x, [2 * half], axis=-1)
    shape = ops.shape(head)
    axis, pairs = (-1, (half, 2)) if interleaved else (-2, (2, half))
    wide = ops.cast(ops.reshape(head, (*shape[:-1], *pairs)), angle.dtype)
    first, second = ops.unstack(wide, 2, axis=axis)  # (B, H, T, R / 2) each
    cos, sin = factor * ops.cos(angle)[:, None], factor * ops.sin(angle)[:, None]  # (B or 1, 1, T, R / 2)
    turned = ops.stack([first * cos - second * sin, second * cos + first * sin], axis=axis)
    turned = ops.cast(ops.reshape(turned, shape), x.dtype)  # (B, H, T, R)
    return turned if rest is None else ops.concatenate([turned, rest], axis=-1)  # (B, H, T, W)
