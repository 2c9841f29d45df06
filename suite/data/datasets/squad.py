"""SQuAD: questions that people asked about paragraphs of the English Wikipedia.

    {"id": "56be4db0acb8001400a502ec", "title": "Super_Bowl_50",
     "context": "Super Bowl 50 was an American football game to determine the champion of ...",
     "question": "Which NFL team represented the AFC at Super Bowl 50?",
     "answers": [{"text": "Denver Broncos", "start": 177}, ...]}

``squad`` and ``squad:v1.1`` have an answer to each question; ``squad:v2.0`` adds questions that look as if the
paragraph answered them. Test is what SQuAD calls dev, with three or more answers a question, since its test
is not public. Validation is cut from train by whole articles, one in ten, as SQuAD's own parts are.

Origin: https://rajpurkar.github.io/SQuAD-explorer. Licence: CC BY-SA 4.0.
Reference: Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250; Rajpurkar, Jia and Liang 2018,
https://arxiv.org/abs/1806.03822. Published for v1.1's dev: logistic regression F1 0.510, people 0.905 (2016); DrQA,
with word vectors trained on other text, 0.788 (Chen et al. 2017).
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from suite.data import squad_sources
from suite.errors import InputError

SCHEMA = "context,question->span"
DESCRIPTION = "questions of people about paragraphs of the English Wikipedia"
ORIGIN = "https://rajpurkar.github.io/SQuAD-explorer"
LICENCE = "CC BY-SA 4.0"
SIZES = {"train": 87_599, "test": 10_570}
VARIANTS = "v1.1 (the default), or v2.0, where a third of the questions have no answer"

_ADDRESS = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_FOLDER = "qa/squad"
_FILES = {
    "v1.1": {
        "train": ("train-v1.1.json", "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
        "test": ("dev-v1.1.json", "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
    },
    "v2.0": {
        "train": ("train-v2.0.json", "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002"),
        "test": ("dev-v2.0.json", "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8"),
    },
}
_HELD_OUT = 10  # one article of so many is for validation


def available(data_dir: Path | None = None) -> bool:
    """Whether the files of version 1.1 are on this machine, or TensorFlow Datasets has it prepared."""
    return squad_sources.available("squad/v1.1", _FILES["v1.1"], folder=_FOLDER, data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """The three splits, from files, from TensorFlow Datasets where it has them prepared, or fetched.

    Args:
        data_dir: a folder with the files under their own names, or with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    version = variant or "v1.1"
    if version not in _FILES:
        raise InputError(f"squad:{variant}: unknown variant; expected {VARIANTS}")
    parts = squad_sources.load(
        f"squad/{version}",
        _FILES[version],
        folder=_FOLDER,
        address=_ADDRESS,
        splits={"train": "train", "test": "validation"},
        data_dir=data_dir,
    )
    held = [example for example in parts["train"] if _is_held_out(example["title"])]
    if not held or len(held) == len(parts["train"]):
        return parts
    parts["train"] = [example for example in parts["train"] if not _is_held_out(example["title"])]
    titles = len({example["title"] for example in held})
    return {**parts, "validation": held, "notes": [*parts["notes"], f"validation: {titles:,} whole articles of train"]}


def _is_held_out(title: str) -> bool:
    return zlib.crc32(title.encode()) % _HELD_OUT == 0
