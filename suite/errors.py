"""The two ways in which a command fails: what was asked for is wrong, or the work itself went wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """A flag, a name, a configuration or a file is wrong. The command ends with exit code 2.

    The message says what was wrong, where (file and line for data), and what would be right.
    """


class RunError(Exception):
    """A run failed although its input was right. The command ends with exit code 1."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that ends an error message: the nearest known name, and all of them.

    Example:

    >>> did_you_mean("widht", ["width", "depth"])
    "did you mean 'width'? Known: depth, width"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listing = f"Known: {', '.join(known)}" if known else "none is known"
    return f"did you mean '{near[0]}'? {listing}" if near else listing
