"""The words of a text as a reader counts them, and those of them that training never had."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation; an apostrophe within a word belongs to it.

    Example:

    >>> words("Isn't it 3 o'clock? 'Yes!'")
    ["isn't", 'it', '3', "o'clock", 'yes']
    """
    return _WORD.findall(text.casefold())


def unknown(found: Iterable[str], known: Container[str] | None) -> dict[str, str]:
    """The part of a test set to which a text belongs by how many of its words are not known; none without `known`.

    Example:

    >>> unknown(["the", "cat"], {"the"}), unknown(["a", "cat"], {"the"}), unknown(["a"], None)
    ({'unknown words': 'one'}, {'unknown words': 'several'}, {})
    """
    if known is None:
        return {}
    count = sum(word not in known for word in found)
    return {"unknown words": "none" if count == 0 else "one" if count == 1 else "several"}
