r"""Tiny Shakespeare: 40,000 lines of Shakespeare's plays, a small standard for language models of characters.

    {"text": "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n...",
     "path": "input.txt", "piece": 0}

The split is the usual one: of 1,115,394 characters the first 1,003,854 are for training, and the loss on the last
111,540 is what others report, as "validation". Here these are test, all of them, and choose nothing: what chooses the
best epoch is the first twentieth of what is for training. (Not the last: test begins within a play, and without its
beginning the same n-gram model loses 0.16 nats.) In `tiny_shakespeare:nanogpt` it is the first hundredth, so that
993,854 characters train.

Examples are pieces of the one text, each of which goes on where the one before ended.

Origin: Karpathy 2015, https://github.com/karpathy/char-rnn: a file `input.txt`; else TensorFlow Datasets. Licence: the
plays are in the public domain.
Reference: in nats a character on these 111,540: a plain interpolated Kneser-Ney model of order 7 with a discount of 0.9
has 1.5225; nanoGPT's (https://github.com/karpathy/nanoGPT) small recipe 1.88, its larger one 1.4697.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from suite.data import prose, sources
from suite.errors import InputError
from suite.faults import Faults

SCHEMA = "text"
DESCRIPTION = "40,000 lines of Shakespeare, 1.1 million characters"
ORIGIN = "a file input.txt, or TensorFlow Datasets: tiny_shakespeare"
LICENCE = "public domain"
SIZES = {"train": 472, "validation": 25, "test": 55}
VARIANTS = "nanogpt trains on 993,854 characters and has 10,000 for validation; by default 953,661 and 50,193"

_NAME = "tiny_shakespeare"
_DOWNLOAD = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
_TRAIN = 0.9  # of all characters, as everybody cuts it
_VALIDATION = {"": 0.05, "nanogpt": 10_000 / 1_003_854}  # of those for training
_PIECE = 2000  # characters of an example


def available(data_dir: Path | None = None) -> bool:
    """Whether its file is here, or TensorFlow Datasets has it prepared."""
    return _file(data_dir) is not None or sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, Any]:
    """The three splits, from the file; without it by TensorFlow Datasets.

    Args:
        data_dir: a folder with the file, or with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    if variant not in _VALIDATION:
        raise InputError(f"tiny_shakespeare:{variant}: unknown variant; expected {VARIANTS}")
    path = _file(data_dir)
    text = _from_tfds(data_dir) if path is None else "".join(each["text"] for each in prose.read(path, Faults()))
    notes = []
    if hashlib.sha256(text.encode()).hexdigest() != _SHA256:
        notes.append(f"{path or 'TensorFlow Datasets'}: not the known text of 1,115,394 characters, but {len(text):,}")
    end = int(_TRAIN * len(text))
    begin = round(_VALIDATION[variant] * end)
    parts = {"train": text[begin:end], "validation": text[:begin], "test": text[end:]}
    sizes = [f"{name} {len(part):,}" for name, part in parts.items()]
    notes.append(f"characters: {', '.join(sizes)}; test is what others call validation, whole")
    cut = {name: prose.pieces(part, path=f"input.txt/{name}", size=_PIECE) for name, part in parts.items()}
    return {**cut, "notes": notes}


def _file(data_dir: Path | None) -> Path | None:
    return sources.find_file(("input.txt",), data_dir=data_dir, subfolder="tfds_manual")


def _from_tfds(data_dir: Path | None) -> str:
    names = ("train", "validation", "test")
    _, parts = sources.tfds_parts(_NAME, splits={name: name for name in names}, origin=_DOWNLOAD, data_dir=data_dir)
    texts = [item["text"] for name in names for item in parts[name]]
    return "".join(text.decode() if isinstance(text, bytes) else str(text) for text in texts)
