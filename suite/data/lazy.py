"""Examples that are read when they are needed: pictures and sounds on disk, and data that does not fit in memory.

A light example has everything but the media: a label, a path, and a ``"digest"`` or another key that tells one from
another. The whole example is loaded each time that it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from suite.task import Example


class Lazy(Sequence[Example]):
    """A sequence of examples that holds the light ones and loads a whole one on access.

    Args:
        light: the examples without their media.
        load: a light example -> the whole one. It may be called from several threads at once.

    Example:

    >>> squares = Lazy([{"side": 2}, {"side": 3}], lambda light: {**light, "area": light["side"] ** 2})
    >>> squares[1], light(squares)[1]
    ({'side': 3, 'area': 9}, {'side': 3})
    """

    def __init__(self, light: Sequence[Example], load: Callable[[Example], Example]):
        self.light = light
        self.load = load

    def __len__(self) -> int:
        return len(self.light)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Lazy: ...
    def __getitem__(self, index: int | slice) -> Example | Lazy:
        if isinstance(index, slice):
            return Lazy(self.light[index], self.load)
        return self.load(self.light[index])

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))


class Mapped(Sequence[Any]):
    """A function of each element of a sequence, computed on access: what `Task.encode` gives for media."""

    def __init__(self, source: Sequence[Any], function: Callable[[Any], Any]):
        self.source = source
        self.function = function

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Mapped: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Mapped(self.source[index], self.function)
        return self.function(self.source[index])


def light(examples: Sequence[Example]) -> Sequence[Example]:
    """The examples without their media, without loading any."""
    return examples.light if isinstance(examples, Lazy) else examples


def take(examples: Sequence[Example], indices: Sequence[int]) -> Sequence[Example]:
    """The examples at these places, in this order, without loading any."""
    if isinstance(examples, Lazy):
        return Lazy([examples.light[index] for index in indices], examples.load)
    return [examples[index] for index in indices]
