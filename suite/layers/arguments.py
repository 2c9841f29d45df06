"""What layers say of arguments that cannot be."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def check_sizes(owner: keras.layers.Layer, **sizes: int | None) -> None:
    """Raise a ValueError unless each of these is at least 1, or None."""
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{type(owner).__name__} expects {name} of at least 1. Received: {name}={size}")


def check_mask(owner: keras.layers.Layer, name: str, mask: Any, *expected: tuple[int | None, ...]) -> None:
    """Raise a ValueError unless a mask is boolean and of one of these shapes; a None in a shape fits any size."""
    if mask is None:
        return
    shape, dtype = tuple(mask.shape), keras.backend.standardize_dtype(mask.dtype)
    fits = any(
        len(shape) == len(wanted) and all(None in (a, b) or a == b for a, b in zip(shape, wanted, strict=True))
        for wanted in expected
    )
    if not fits or dtype != "bool":
        shapes = " or ".join(str(wanted) for wanted in expected)
        raise ValueError(
            f"{type(owner).__name__} expects {name} to be boolean of shape {shapes}. Received: {dtype} of shape {shape}"
        )


def known(x: Any) -> np.ndarray | None:
    """The numbers in a tensor, or None where it stands for some that a compiled function will see later."""
    if isinstance(x, keras.KerasTensor):
        return None
    try:
        return np.asarray(ops.convert_to_numpy(x))
    except (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError):
        return None
