"""What the probes feed to a layer: random inputs of the usual kinds, in sizes that no axis shares with another.

Shapes: B batch, T length, S length of keys and of a memory, D width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

B, T, S = 3, 7, 5
CHARACTERS = 4  # of a word
IMAGE = (32, 48, 3)  # height, width, channels
SAMPLES = 3200  # of a waveform
TOKENS = 11  # at most so many different ones
WIDTHS = (24, 40, 56, 64, 128, 256, 512)  # tried in this order; 24 suits 1, 2, 3, 4, 6, 8 and 12 heads


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of input.

    Args:
        name: what it is called in messages and by `--input`.
        draw: (generator, batch, length) -> an array.
        has_length: whether its second axis is one of positions.
        whole: whether it consists of integers.
    """

    name: str
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    has_length: bool = True
    whole: bool = False

    def other(self, array: np.ndarray, where: np.ndarray, *, seed: int = 1) -> np.ndarray:
        """The array with other content where a boolean array, of as many axes as it likes, is True."""
        random = np.random.default_rng(seed)
        content = self.draw(random, array.shape[0], array.shape[1])
        if array.dtype.kind == "f":
            content = 5 * content  # large enough that a small leak shows
        where = where.reshape(*where.shape, *[1] * (array.ndim - where.ndim))
        return np.where(where, content, array).astype(array.dtype)


def normal(name: str, *shape: int, has_length: bool = True) -> Kind:
    """Normally distributed numbers of shape (B, T, *shape), or (B, *shape) where there is no length."""

    def draw(random: np.random.Generator, batch: int, length: int) -> np.ndarray:
        leading = (batch, length) if has_length else (batch,)
        return random.normal(size=(*leading, *shape)).astype("float32")

    return Kind(name, draw, has_length)


def numbers(name: str, below: int, *shape: int) -> Kind:
    """Integers from 1, for 0 is padding."""

    def draw(random: np.random.Generator, batch: int, length: int) -> np.ndarray:
        return random.integers(1, below, size=(batch, length, *shape)).astype("int32")

    return Kind(name, draw, whole=True)


def second_kind(main: Kind) -> Kind:
    """The kind of keys and of a memory: like the main input, or sequences where that is one of numbered tokens."""
    return normal("sequence", WIDTHS[0]) if main.whole else main


def like(array: np.ndarray) -> Kind:
    """Inputs put together from the rows and positions of an example (B, T, ...), so that all values are legal."""

    def draw(random: np.random.Generator, batch: int, length: int) -> np.ndarray:
        rows = array[random.integers(len(array), size=batch)]
        return rows[:, random.integers(array.shape[1], size=length)] if array.ndim > 1 else rows

    return Kind("example", draw, array.ndim > 1)


def known(layer: keras.layers.Layer, *, width: int | None = None) -> Iterator[Kind]:
    """The kinds of input that a layer may want, the likeliest first."""
    below = min(TOKENS, token_limit(layer))
    for size in WIDTHS if width is None else (width,):
        yield normal("sequence", size)
    yield normal("image", *IMAGE, has_length=False)
    yield normal("waveform", SAMPLES, has_length=False)
    yield numbers("tokens", below)
    yield numbers("characters", below, CHARACTERS)


def of_tensor(tensor: Any, layer: keras.layers.Layer) -> tuple[Kind, int]:
    """The kind of input that a Functional model's own `keras.Input` wants, and its length."""
    shape, dtype = tensor.shape, keras.backend.standardize_dtype(tensor.dtype)
    if dtype == "bool":
        kind = Kind("mask", lambda random, batch, length: np.ones((batch, length), bool))
    elif "int" in dtype:
        kind = numbers("tokens", min(TOKENS, token_limit(layer)), *(size or CHARACTERS for size in shape[2:]))
    elif len(shape) == 3:
        kind = normal("sequence", shape[2] or WIDTHS[0])
    else:
        kind = normal("array", *(size or IMAGE[0] for size in shape[1:]), has_length=False)
    return kind, (shape[1] if len(shape) > 1 else None) or T


def token_limit(layer: keras.layers.Layer) -> int:
    """The smallest vocabulary inside a layer."""
    sizes = [
        size
        for part in parts(layer)
        for name in ("vocabulary", "input_dim")
        if isinstance(size := getattr(part, name, None), int)
    ]
    return min(sizes, default=TOKENS)


def parts(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers that its attributes hold, however deep."""
    found: dict[int, keras.layers.Layer] = {}

    def walk(value: Any) -> None:
        if isinstance(value, keras.layers.Layer):
            if id(value) not in found:
                found[id(value)] = value
                walk(vars(value))
                walk(value.layers if isinstance(value, keras.Model) else ())
        elif isinstance(value, Mapping):
            walk(list(value.values()))
        elif isinstance(value, list | tuple):
            for one in value:
                walk(one)

    walk(layer)
    return list(found.values())


def real_positions(batch: int, length: int, side: str = "right") -> np.ndarray:
    """A mask (B, T) of rows with less and less real content, the first row full; `side` says where padding stands."""
    count = np.maximum(length - np.arange(batch)[:, None] * (length // batch), 1)
    at = np.arange(length)[None, :]
    if side == "middle":  # every second position at most
        return (at % 2 == 0) | (at < 2 * count - length)
    return at < count if side == "right" else at >= length - count
