"""Train, validation and test: cut where they are missing, limited where asked, and checked against each other.

Examples are plain mappings. What their answers are and how labels are read from them, the caller says.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.data.lazy import light, take
from suite.errors import InputError, did_you_mean
from suite.faults import Faults
from suite.task import Example, Splits

ANSWERS = frozenset({"answer", "label", "oracle", "tags", "target"})
"""The keys of an example that hold an answer; all others are input."""

_SPLITS = ("train", "validation", "test")
_SEED = 2017


def read_files(
    read: Callable[[Path, Faults], Sequence[Example]], files: Mapping[str, Path | None], *, skip_bad: bool = False
) -> dict[str, Sequence[Any]]:
    """The user's own files as a dataset's `load` would return them; a split without a file is left out.

    ``{**dataset.load(data_dir), **read_files(...)}`` replaces those splits of a dataset for which there is a file.

    Args:
        read: a task's.
        files: split -> its file or folder.
        skip_bad: leave out what cannot be used, and count it in the notes, instead of refusing it.
    """
    parts: dict[str, Sequence[Any]] = {}
    notes: list[str] = []
    for split, path in files.items():
        if path is not None:
            faults = Faults(skip=skip_bad)
            parts[split] = read(path, faults)
            notes += faults.notes(split)
    return {**parts, "notes": notes} if notes else parts


def name_of(path: Path) -> str:
    """What data of the user's own is called: its file, folder, or files that belong together, ``a.en,a.de``.

    Example:

    >>> name_of(Path("texts/a.en,texts/a.de"))
    'a.en,a.de'
    """
    return ",".join(Path(part).name for part in str(path).split(","))


def make_splits(
    parts: Mapping[str, Sequence[Any]],
    *,
    name: str,
    validation_share: float = 0.1,
    test_share: float = 0.2,
    limit: int | None = None,
    answers: Iterable[str] = ANSWERS,
    labels: Callable[[Example], Iterable[str]] | None = None,
    groups: Callable[[Sequence[Example]], Sequence[Hashable]] | None = None,
) -> Splits:
    """What a dataset's `load` or `read_files` returned, as three splits and what there is to know about them.

    Where there is no test, and then where there is no validation, it is cut from train: the same examples each time.
    Nothing is dropped: examples that train and test share, and labels that only test has, are counted in the notes.

    Args:
        parts: examples by split, with the dataset's own remarks under ``"notes"``.
        name: the dataset's name, as the leaderboard shows it.
        validation_share, test_share: the fraction of train that is cut, at least one example.
        limit: at most so many examples of each split: a sample, the same each time, in the order of the split.
        answers: keys that do not count when two examples are compared.
        labels: an example -> its labels.
        groups: examples -> for each what it shares with others, such as its text. No cut separates these; by default
            each stands alone.

    Raises:
        InputError: a split is empty or too small to be cut, or `limit` is below 1.

    Example:

    >>> splits = make_splits({"train": [{"text": t} for t in "abcdefghij"], "test": [{"text": "b"}]}, name="letters")
    >>> len(splits.train), len(splits.validation), len(splits.test)
    (9, 1, 1)
    >>> splits.notes
    ('validation: 1 of 10 training examples, cut by a fixed seed', '1 of 1 test examples are also in train')
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit: expected at least 1 example of each split, received {limit}")
    notes = list(parts.get("notes", ()))
    splits = {split: examples for split, examples in parts.items() if split != "notes"}
    _check(splits, name=name)
    for split, share in (("test", test_share), ("validation", validation_share)):
        if split not in splits:
            splits["train"], splits[split], note = _cut(splits["train"], share, groups, split=split, name=name)
            notes.append(note)
    if limit is not None:
        splits = {split: _sample(examples, limit) for split, examples in splits.items()}
        notes.append(f"at most {limit:,} examples of each split, sampled by a fixed seed")
    train, test = light(splits["train"]), light(splits["test"])
    notes += _shared_examples(train, test, frozenset(answers))
    if labels is not None:
        notes += new_labels({label for example in train for label in labels(example)}, test, labels)
    return Splits(dataset=name, notes=tuple(notes), **splits)


def _check(splits: Mapping[str, Sequence[Example]], *, name: str) -> None:
    for split, examples in splits.items():
        if split not in _SPLITS:
            raise InputError(f"{name}: unknown split {split!r}; {did_you_mean(split, _SPLITS)}")
        if not len(examples):
            raise InputError(f"{name}: {split} has no example; expected at least 1")
    if "train" not in splits:
        raise InputError(f"{name}: no training examples; expected a file or a dataset that has them")


def _sample(examples: Sequence[Example], size: int) -> Sequence[Example]:
    """A sample of that size, in order. A smaller sample is part of a larger one."""
    return take(examples, sorted(_shuffled(len(examples))[:size]))


def _shuffled(count: int) -> list[int]:
    # Of all of Python's random methods, random() alone is promised to give the same numbers in every version.
    generator = random.Random(_SEED)
    rank = [generator.random() for _ in range(count)]
    return sorted(range(count), key=rank.__getitem__)


def _cut(
    train: Sequence[Example],
    share: float,
    groups: Callable[[Sequence[Example]], Sequence[Hashable]] | None,
    *,
    split: str,
    name: str,
) -> tuple[Sequence[Example], Sequence[Example], str]:
    """What is left of train, what is cut off, and a remark. Whole groups are cut off until there are enough."""
    size = max(1, round(share * len(train)))
    members: dict[Hashable, list[int]] = {}
    for number, group in enumerate(groups(light(train)) if groups else range(len(train))):
        members.setdefault(group, []).append(number)
    together = list(members.values())
    part: list[int] = []
    for group in _shuffled(len(together)):
        if len(part) < size:
            part += together[group]
    if len(part) == len(train):
        of = f" of {len(together)} text(s)" if groups else ""
        raise InputError(
            f"{name}: {split} has to be cut from train, and train has {len(train)} example(s){of} left: "
            f"give at least {size + 1} training examples, or a {split} file"
        )
    rest = sorted({*range(len(train))} - {*part})
    note = f"{split}: {len(part):,} of {len(train):,} training examples, cut by a fixed seed"
    return take(train, rest), take(train, sorted(part)), note


def _key(example: Example, answers: frozenset[str]) -> str:
    if "digest" in example:  # of a file, which may be there twice under two names
        return str(example["digest"])
    inputs = {key: value for key, value in example.items() if key not in answers}
    return json.dumps(inputs, sort_keys=True, default=_array_key)


def _array_key(value: object) -> str:
    # The text of a large array leaves out its middle; a digest of its bytes does not.
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"an example holds {type(value).__name__}; expected plain Python values and numeric arrays")
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _shared_examples(train: Sequence[Example], test: Sequence[Example], answers: frozenset[str]) -> list[str]:
    known = {_key(example, answers) for example in train}
    shared = sum(_key(example, answers) in known for example in test)
    return [f"{shared:,} of {len(test):,} test examples are also in train"] if shared else []


def new_labels(
    known: Collection[str], test: Sequence[Example], labels: Callable[[Example], Iterable[str]]
) -> list[str]:
    """A remark on the labels of test examples that are not known from training, where there are any."""
    new = Counter(label for example in test for label in labels(example) if label not in known)
    if not new:
        return []
    counts = ", ".join(f"{label} ({count:,})" for label, count in sorted(new.items()))
    return [f"test has labels that train has not, all of them counted as wrong: {counts}"]
