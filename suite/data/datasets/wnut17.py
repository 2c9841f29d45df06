"""WNUT 2017: new and rare entities in English posts, comments and questions.

    {"tokens": ["Pretty", "bad", "storm", "at", "the", "Empire",     "State",      "Building",   "last", "evening"],
     "tags":   ["O",      "O",   "O",     "O",  "O",   "B-location", "I-location", "I-location", "O",    "O"]}

Six types: corporation, creative-work, group, location, person, product. Training posts are of 2010 and from Twitter,
validation is from YouTube, test from Twitter, Reddit and StackExchange; few entities of test occur in training.

Origin: https://github.com/leondz/emerging_entities_17. Licence: CC BY 4.0.
Reference: Derczynski, Nichols, van Erp and Limsopatham, 2017, "Results of the WNUT2017 shared task on novel and
emerging entity recognition", W-NUT 2017. Best of the shared task: entity F1 0.4186.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import conll, sources

SCHEMA = "tokens->tags"
DESCRIPTION = "posts, comments and questions in English, six types, few known names"
ORIGIN = "https://github.com/leondz/emerging_entities_17"
LICENCE = "CC BY 4.0"
SIZES = {"train": 3394, "validation": 1009, "test": 1287}

_ADDRESS = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master"
_FOLDER = "ner/wnut17"
_FILES = {  # split -> the name of the file here, its name at the origin, its SHA-256
    "train": (
        "train.conll",
        "wnut17train.conll",
        "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
    ),
    "validation": (
        "dev.conll",
        "emerging.dev.conll",
        "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
    ),
    "test": (
        "test.conll",
        "emerging.test.annotated",
        "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
    ),
}


def available(data_dir: Path | None = None) -> bool:
    """Whether all three files are on this machine."""
    return all(
        sources.find_file((name, original), data_dir=data_dir, subfolder=_FOLDER)
        for name, original, _ in _FILES.values()
    )


def load(data_dir: Path | None = None) -> dict[str, list[Any]]:
    """The three splits; fetches those files that are not on this machine. A file that was changed gives a note."""
    parts: dict[str, list[Any]] = {"notes": []}
    for split, (name, original, checksum) in _FILES.items():
        path = sources.find_file((name, original), data_dir=data_dir, subfolder=_FOLDER)
        if path is None:
            target = sources.data_home() / _FOLDER / name
            path = sources.download(f"{_ADDRESS}/{original}", sha256=checksum, target=target)
        elif (found := sources.sha256(path)) != checksum:
            parts["notes"].append(f"{split}: {path} is not the published file (SHA-256 {found[:12]}...)")
        parts[split] = conll.read(path)
    return parts
