r"""The topics of Python's own help: English prose about the language, with tables, grammar rules and code.

    {"text": "The \"assert\" statement\n**********************\n\nAssert statements are a convenient way to ...",
     "topic": "assert"}

It ships with Python as `pydoc_data.topics`, and so needs no download. What `help("assert")` shows is one example. Some
topics are parts of longer ones. A paragraph that several topics have is kept in the longest of them alone, and a topic
of which less than half is left is left out. So nothing in validation and test stands in train.

Topics are divided by a fixed seed; those longer than a twentieth of the whole are always in train. The text is not the
same in all versions of Python, and neither is the dataset's hash.

Origin: the installed Python. Licence: PSF License Version 2, as Python's documentation.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.data.dice import Dice

SCHEMA = "text"
DESCRIPTION = "the topics of Python's help, unseen ones in test"
ORIGIN = "pydoc_data.topics of the installed Python"
LICENCE = "PSF License Version 2"
SIZES = {"train": 32, "validation": 9, "test": 16}  # in Python 3.11

_SEED = 1991
_SHARES = {"test": 0.12, "validation": 0.08}  # of all characters
_LARGE = 0.05  # a topic of this share of all characters is in train
_PARAGRAPH = 40  # characters from which on a paragraph is looked for in other topics


def available(data_dir: Path | None = None) -> bool:
    """Always: nothing has to be fetched."""
    return True


def load(data_dir: Path | None = None) -> dict[str, Any]:
    """The three splits. `data_dir` is not used."""
    from pydoc_data.topics import topics

    splits = divide(without_repeats(topics))
    notes = [f"the topics of Python {platform.python_version()}; other versions have other texts"]
    return {**splits, "notes": notes}


def without_repeats(topics: Mapping[str, str]) -> dict[str, str]:
    """Topics in alphabetical order, each paragraph in the longest topic that has it."""
    known: set[str] = set()
    kept = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        paragraphs = topics[name].split("\n\n")
        keys = [" ".join(paragraph.split()) for paragraph in paragraphs]
        new = [
            paragraph
            for paragraph, key in zip(paragraphs, keys, strict=True)
            if len(key) < _PARAGRAPH or key not in known
        ]
        known.update(key for key in keys if len(key) >= _PARAGRAPH)
        text = "\n\n".join(new)
        if 2 * len(text) >= len(topics[name]):
            kept[name] = text
    return dict(sorted(kept.items()))


def divide(topics: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Topics by split, in alphabetical order."""
    total = sum(map(len, topics.values()))
    order = [name for name in Dice(_SEED).shuffled(list(topics)) if len(topics[name]) < _LARGE * total]
    owner = dict.fromkeys(topics, "train")
    for split, share in _SHARES.items():
        size = 0
        while order and size < share * total:
            name = order.pop()
            owner[name], size = split, size + len(topics[name])
    return {
        split: [{"text": text, "topic": name} for name, text in topics.items() if owner[name] == split]
        for split in ("train", "validation", "test")
    }
