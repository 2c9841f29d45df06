"""Positions on a grid, for the patches of an image.

Shapes: B batch, T length, D width, H heads, W head width.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from suite.layers.learned import add_rows, make_table
from suite.layers.positions import Position, angles, check_range, check_wavelength, frequencies, per_row, waves
from suite.layers.rotary import turn


class Grid(Position):
    """What the schemes on a grid share: the row and the column of a position.

    Position ``prefix + r * columns + c`` stands in row r and column c. The first `prefix` positions, those of class and
    register tokens, have no place on the grid.

    At another resolution, the same picture is cut into another number of patches. A scheme for it gets the new `grid`
    and, as `trained_grid`, the old one: coordinates are then rescaled so that both grids cover the same area, the
    centre of patch r of R lying at ``(r + 0.5) * R_trained / R - 0.5``. Weights fit both.

    A position beyond the grid is an error; where only the running compiled function sees it, its output is NaN.

    Args:
        grid: rows and columns.
        trained_grid: rows and columns in training; by default `grid`.
        prefix: the number of leading positions without a place.

    Raises:
        ValueError: where there is no grid, and for positions beyond it.
    """

    def __init__(
        self, grid: tuple[int, int], *, trained_grid: tuple[int, int] | None = None, prefix: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        sizes = (grid,) if trained_grid is None else (grid, trained_grid)
        if any(len(size) != 2 or min(size) < 1 for size in sizes) or prefix < 0:
            raise ValueError(
                f"{type(self).__name__} expects grids of at least one row and one column, and a prefix of 0 or more. "
                f"Received: grid={grid}, trained_grid={trained_grid}, prefix={prefix}"
            )
        self.grid = tuple(grid)
        self.trained_grid = None if trained_grid is None else tuple(trained_grid)
        self.prefix = prefix

    def coordinates(self, positions: Any, dtype: str) -> tuple[Any, Any, Any]:
        """Positions (T,) or (B, T) -> rows, columns, and which of them have a place, (B or 1, T) each."""
        rows, columns = self.grid
        inside = check_range(self, positions, self.prefix + rows * columns)
        flat = per_row(positions) - self.prefix
        places = []
        trained = self.trained_grid or self.grid
        for number, size, old in zip((flat // columns, flat % columns), self.grid, trained, strict=True):
            place = (ops.cast(number, dtype) + 0.5) * (old / size) - 0.5
            places.append(ops.where(inside, place, ops.cast(float("nan"), dtype)))
        return places[0], places[1], flat >= 0

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "grid": self.grid,
            "trained_grid": self.trained_grid,
            "prefix": self.prefix,
        }


@keras.saving.register_keras_serializable(package="suite")
class SinusoidalGrid(Grid):
    """Adds fixed sines and cosines of column and row to the embeddings of patches.

    Four parts of D / 4 features: the sines and the cosines of the column, then those of the row, with frequencies
    ``wavelength ** (-4 i / D)``, computed in float32 at least and cast last. Leading tokens without a place get zeros.

    Args:
        grid: rows and columns of patches, row-major.
        trained_grid: the grid that the model was trained with, to which coordinates are rescaled; by default `grid`.
        prefix: the number of leading tokens without a place, such as a class token.
        wavelength: the base of the geometric series of wavelengths.
        endpoint: whether the series reaches `wavelength` itself: exponents ``-i / (D/4 - 1)`` in place of ``-4 i / D``.

    Call arguments:
        inputs: (B, T, D) floating point, D a multiple of 4; by default T is that of the grid with its prefix or less.
        positions: (T,) or (B, T) integers; by default 0 to T - 1.

    Returns:
        (B, T, D), of the inputs' type.

    Raises:
        ValueError: where D is no multiple of 4, for a wavelength of 0 or less, and for positions beyond the grid.

    Example:

    >>> import numpy as np
    >>> tuple(SinusoidalGrid((2, 3), prefix=1)(np.zeros((2, 7, 8), "float32")).shape)
    (2, 7, 8)

    Reference: He et al. 2022, MAE, section 3, https://arxiv.org/abs/2111.06377, and its code; with `endpoint`, Beyer
    et al. 2022, https://arxiv.org/abs/2205.01580.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        *,
        trained_grid: tuple[int, int] | None = None,
        prefix: int = 0,
        wavelength: float = 10_000.0,
        endpoint: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(grid, trained_grid=trained_grid, prefix=prefix, **kwargs)
        self.wavelength = check_wavelength(self, wavelength)
        self.endpoint = endpoint

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Check the width."""
        if inputs_shape[-1] is None or inputs_shape[-1] % 4:
            raise ValueError(
                f"SinusoidalGrid expects a width that 4 divides. Received: inputs of shape {tuple(inputs_shape)}"
            )

    def embed(self, x: Any, positions: Any) -> Any:
        """(B, T, D), positions (T,) or (B, T) -> (B, T, D)."""
        wide = keras.backend.result_type(x.dtype, "float32")
        frequency = frequencies(x.shape[-1] // 2, self.wavelength, endpoint=self.endpoint)  # (D / 4)
        row, column, placed = self.coordinates(positions, wide)  # (B or 1, T) each
        parts = [waves(angles(place, frequency, wide), interleaved=False) for place in (column, row)]
        table = ops.concatenate(parts, axis=-1)  # (B or 1, T, D)
        table = ops.where(placed[..., None], table, ops.zeros_like(table))
        return ops.cast(ops.cast(x, wide) + table, x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "wavelength": self.wavelength, "endpoint": self.endpoint}


@keras.saving.register_keras_serializable(package="suite")
class RotaryGrid(Grid):
    """Rotary position embedding in two dimensions: queries and keys turn by their row and by their column.

    The features (x_i, x_{i + W/2}) are turned by ``row * wavelength ** (-4 i / W)`` for i below W / 4, and the others
    likewise by the column. So scores know the distance in rows and that in columns. Leading tokens without a place are
    not turned. Angles and products are computed in float32 at least and cast last.

    Args:
        grid: rows and columns of patches, row-major.
        trained_grid: the grid that the model was trained with, to which coordinates are rescaled; by default `grid`.
        prefix: the number of leading tokens without a place, such as a class token.
        wavelength: the base of the geometric series of wavelengths; small, since grids are.

    Raises:
        ValueError: where W is no multiple of 4, for a wavelength of 0 or less, and for positions beyond the grid.

    Example:

    >>> import numpy as np
    >>> tuple(RotaryGrid((2, 3)).rotate(np.ones((1, 2, 6, 8), "float32"), np.arange(6)).shape)
    (1, 2, 6, 8)

    Reference: Heo et al. 2024, section 3.2 (axial frequencies), https://arxiv.org/abs/2403.13298. Differs from the
    paper: feature i is paired with i + W/2 rather than with its neighbour; the two differ by a permutation.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        *,
        trained_grid: tuple[int, int] | None = None,
        prefix: int = 0,
        wavelength: float = 100.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(grid, trained_grid=trained_grid, prefix=prefix, **kwargs)
        self.wavelength = check_wavelength(self, wavelength)

    def rotate(self, x: Any, positions: Any) -> Any:
        """(B, H, T, W), positions (T,) or (B, T) -> (B, H, T, W)."""
        width = x.shape[-1]
        if width % 4:
            raise ValueError(f"RotaryGrid expects a head width that 4 divides. Received: head width {width}")
        wide = keras.backend.result_type(x.dtype, "float32")
        frequency = frequencies(width // 2, self.wavelength)  # (W / 4)
        row, column, placed = self.coordinates(positions, wide)  # (B or 1, T) each
        angle = ops.concatenate([angles(place, frequency, wide) for place in (row, column)], axis=-1)
        return turn(x, ops.where(placed[..., None], angle, ops.zeros_like(angle)))  # angles (B or 1, T, W / 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "wavelength": self.wavelength}


@keras.saving.register_keras_serializable(package="suite")
class LearnedGrid(Grid):
    """Adds a learned vector for each place on a grid, and for each leading token, to the embeddings of patches.

    At another resolution than that of training, the table's grid is resized bilinearly, as a picture; the rows of
    leading tokens stay as they are.

    Args:
        grid: rows and columns of patches, row-major.
        trained_grid: the grid that the table is made for; by default `grid`.
        prefix: the number of leading tokens, such as a class token, each with a row of its own before the grid's.

    Call arguments:
        inputs: (B, T, D) floating point; by default T is that of the grid with its prefix or less.
        positions: (T,) or (B, T) integers; by default 0 to T - 1.

    Returns:
        (B, T, D), of the inputs' type.

    Raises:
        ValueError: for positions beyond the grid.

    Example: weights from one resolution, used at another.

    >>> import numpy as np
    >>> small, large = LearnedGrid((2, 3)), LearnedGrid((4, 6), trained_grid=(2, 3))
    >>> for layer in (small, large):
    ...     layer.build((None, None, 8))
    >>> large.set_weights(small.get_weights())
    >>> tuple(large(np.zeros((1, 24, 8), "float32")).shape)
    (1, 24, 8)

    Reference: Dosovitskiy et al. 2021, ViT, section 3, https://arxiv.org/abs/2010.11929.
    """

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Make the table of the trained grid for embeddings (B, T, D)."""
        rows, columns = self.trained_grid or self.grid
        self.table = make_table(self, self.prefix + rows * columns, inputs_shape)

    def embed(self, x: Any, positions: Any) -> Any:
        """(B, T, D), positions (T,) or (B, T) -> (B, T, D)."""
        return add_rows(self, x, self._resized(), positions)

    def _resized(self) -> Any:
        if self.trained_grid in (None, self.grid):
            return self.table
        leading, places = ops.split(ops.cast(self.table, "float32"), [self.prefix], axis=0)
        picture = ops.reshape(places, (1, *self.trained_grid, self.table.shape[-1]))
        picture = ops.image.resize(picture, self.grid, interpolation="bilinear", data_format="channels_last")
        places = ops.reshape(picture, (int(np.prod(self.grid)), self.table.shape[-1]))
        return ops.concatenate([leading, places], axis=0)  # (prefix + rows * columns, D)
