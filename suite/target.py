"""From `FILE_OR_MODULE:Name` to what it names, and from `argument=value` to a value.

No deep-learning framework is imported here, so that what is wrong with a path is told at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from suite import find
from suite.config import parse_set
from suite.errors import InputError, did_you_mean

PATTERN = re.compile(r"(?P<place>.+\.py|[\w.]+):(?P<name>\w+)")


class Target(NamedTuple):
    """A name in a file or a module."""

    place: str
    name: str

    def load(self) -> Any:
        """Imports the file or the module and gives what it names."""
        module = self._module()
        if not hasattr(module, self.name):
            public = [name for name in vars(module) if not name.startswith("_")]
            raise InputError(f"{self.place} has no {self.name}; {did_you_mean(self.name, public)}")
        return getattr(module, self.name)

    def _module(self) -> ModuleType:
        if not self.place.endswith(".py"):
            return _import(self.place)
        path = Path(self.place).resolve()
        if path.is_relative_to(find.SUITE):  # one of ours, which must not be there twice
            return _import(".".join(path.relative_to(find.SUITE.parent).with_suffix("").parts))
        return find.load_file(path)


def parse(text: str) -> Target:
    """Reads `FILE_OR_MODULE:Name`.

    Raises:
        InputError: it is not of this form, or there is no such file or package.

    Example:

    >>> parse("suite.layers:MultiHeadAttention")
    Target(place='suite.layers', name='MultiHeadAttention')
    """
    match = PATTERN.fullmatch(text)
    if match is None:
        raise InputError(f"{text}: expected FILE_OR_MODULE:Class, such as ./my_layer.py:MyLayer or my_package:MyLayer")
    target = Target(match["place"], match["name"])
    if target.place.endswith(".py"):
        if not Path(target.place).is_file():
            raise InputError(f"{target.place}: no such file")
    elif importlib.util.find_spec(target.place.partition(".")[0]) is None:
        raise InputError(
            f"no module {target.place}: expected a file that ends in .py, or a module that can be imported"
        )
    return target


def arguments(texts: Iterable[str]) -> dict[str, Any]:
    """Reads `argument=value` texts, each value in TOML's notation, `null`, a `Target` or plain text.

    Example:

    >>> arguments(["heads=2", "use_bias=false", "scale=null", "position=suite.layers:Rotary"])
    {'heads': 2, 'use_bias': False, 'scale': None, 'position': Target(place='suite.layers', name='Rotary')}
    """
    read = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise InputError(f"--set {text}: expected argument=value, such as --set heads=2")
        _, parsed = parse_set(f"value={value}")
        if isinstance(parsed, str) and PATTERN.fullmatch(parsed):
            parsed = parse(parsed)
        read[name.strip()] = None if parsed == "null" else parsed
    return read


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise InputError(f"{name}: cannot be imported: {type(error).__name__}: {error}") from error
