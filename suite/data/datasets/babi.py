"""bAbI v1.2: twenty kinds of questions about short stories in English, 1,000 questions of each for training.

    {"story": ["Mary moved to the bathroom.", "Sandra journeyed to the bedroom.", "Mary got the football there."],
     "question": "Where is the football?", "label": "bathroom", "task": "qa2"}

Which of them is said after a colon: ``babi:3`` or ``babi:1,2,3``; ``babi`` and ``babi:joint`` are all twenty, one
model for all. A list such as "football,milk" is one answer. There is no validation split.

Origin: https://research.facebook.com/downloads/babi/ (tasks_1-20_v1-2.tar.gz, its folder "en"). Licence: CC BY 3.0.
Reference: Weston et al. 2015, "Towards AI-complete question answering: a set of prerequisite toy tasks",
https://arxiv.org/abs/1502.05698. There, and since, a task counts as solved with 5 % of errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import babi, sources
from suite.errors import InputError
from suite.faults import Faults

SCHEMA = "story,question->label"
DESCRIPTION = "twenty kinds of questions about short stories, 1,000 of each for training"
ORIGIN = "https://research.facebook.com/downloads/babi/"
LICENCE = "CC BY 3.0"
SIZES = {"train": 20_000, "test": 20_000}
VARIANTS = "joint (all twenty, the default), or the numbers of tasks, such as 3 or 1,2,3"

_FOLDER = "qa/babi"
_TASKS = (  # the names of the files, and the beginnings of the SHA-256 of those of train and of test
    ("qa1_single-supporting-fact", "c64ba9b1a49bbb11", "55acf66cef2f6d79"),
    ("qa2_two-supporting-facts", "a4978af5bc0dc301", "eff93fb9cd81ba02"),
    ("qa3_three-supporting-facts", "a6e78019f36a02a7", "17795c977100baf8"),
    ("qa4_two-arg-relations", "c9370502d85fa382", "07f0ca18ddeea9ee"),
    ("qa5_three-arg-relations", "086cd59c3ca9677b", "ec825c1c8a76e63a"),
    ("qa6_yes-no-questions", "5a133115ee35d475", "b108b16f1eccbd1c"),
    ("qa7_counting", "dca03bd91876951c", "a74d1f2b91329b2b"),
    ("qa8_lists-sets", "058604df6f944045", "362a653c821a580f"),
    ("qa9_simple-negation", "0c3b89921af0caea", "63590aff3f89993d"),
    ("qa10_indefinite-knowledge", "0b7691689447bab0", "fde8f20ed0b3ba97"),
    ("qa11_basic-coreference", "9468de9a1f256f43", "46f3290d0158ce12"),
    ("qa12_conjunction", "45c2764bb2d3c8f6", "6437718f8f9801ce"),
    ("qa13_compound-coreference", "533a391edbda743e", "76a25b684f23c9cc"),
    ("qa14_time-reasoning", "b7561cbc624205c9", "e3f0b19858ffbec3"),
    ("qa15_basic-deduction", "e856ebfdcce4dd7d", "32b77e117fe9acf5"),
    ("qa16_basic-induction", "20121005137e3d4b", "4a11e55366f2a5a8"),
    ("qa17_positional-reasoning", "20083bf56ff74f0e", "9e1e0250ed4ec183"),
    ("qa18_size-reasoning", "18b7dcf52c9a0e87", "d34f70eb7228a276"),
    ("qa19_path-finding", "dcb788352a56effb", "023e391f0d7f79c9"),
    ("qa20_agents-motivations", "29580ad55fb7b4b2", "bd3bde3788ac14ba"),
)


def available(data_dir: Path | None = None) -> bool:
    """Whether the files of all twenty tasks are on this machine."""
    return all(_find(name, split, data_dir) for name, _, _ in _TASKS for split in ("train", "test"))


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """Train and test of the tasks, one task after the other. A file that was changed gives a note.

    Args:
        data_dir: a folder of the user's own.
        variant: see `VARIANTS`.

    Raises:
        InputError: there is no such variant, or a file is not on this machine.
    """
    parts: dict[str, list[Any]] = {"train": [], "test": [], "notes": []}
    for number in _numbers(variant):
        name, *checksums = _TASKS[number - 1]
        for split, checksum in zip(("train", "test"), checksums, strict=True):
            path = _find(name, split, data_dir)
            if path is None:
                raise InputError(
                    f"{name}_{split}.txt is not on this machine. Get tasks_1-20_v1-2.tar.gz from {ORIGIN}, and name "
                    f'the folder "en" in it with --data-dir, or put its files below {_FOLDER} in the folder that '
                    f"SUITE_DATA names"
                )
            if (found := sources.sha256(path)[:16]) != checksum:
                parts["notes"].append(f"{split}: {path} is not the published file (SHA-256 {found}...)")
            parts[split] += babi.read(path, Faults())
    return parts


def _find(name: str, split: str, data_dir: Path | None) -> Path | None:
    return sources.find_file([f"{name}_{split}.txt"], data_dir=data_dir, subfolder=_FOLDER)


def _numbers(variant: str) -> list[int]:
    if variant in ("", "joint"):
        return list(range(1, len(_TASKS) + 1))
    numbers = [part.strip().removeprefix("qa") for part in variant.split(",")]
    known = [str(number) for number in range(1, len(_TASKS) + 1)]
    if unknown := [number for number in numbers if number not in known]:
        raise InputError(
            f"babi:{variant}: there is no task {unknown[0]!r}; expected {VARIANTS}, from 1 to {len(_TASKS)}"
        )
    if len(set(numbers)) < len(numbers):
        raise InputError(f"babi:{variant}: a task is named twice; expected {VARIANTS}")
    return sorted(map(int, numbers))
