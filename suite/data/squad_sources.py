"""Published datasets in SQuAD's format: from files on this machine, from TensorFlow Datasets, or fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.data import sources, squad
from suite.errors import InputError
from suite.faults import Faults

Files = Mapping[str, tuple[str, str]]
"""split -> the name of its file, its SHA-256."""


def available(name: str, files: Files, *, folder: str, data_dir: Path | None) -> bool:
    """Whether all files are on this machine, or TensorFlow Datasets has the dataset prepared."""
    found = [sources.find_file((file,), data_dir=data_dir, subfolder=folder) for file, _ in files.values()]
    return None not in found or sources.tfds_prepared(name, data_dir=data_dir)


def load(
    name: str, files: Files, *, folder: str, address: str, splits: Mapping[str, str], data_dir: Path | None
) -> dict[str, list[Any]]:
    """The examples by split, as `suite.data.squad.read` gives them, with ``"notes"``.

    Files come first, then what TensorFlow Datasets has prepared; else files that are missing are fetched. A question
    that cannot be used is left out and counted.

    Args:
        name: as TensorFlow Datasets calls it.
        files: see `Files`.
        folder: where files are kept below a folder of data.
        address: where they are fetched from, without their names.
        splits: our split -> that of TensorFlow Datasets.
        data_dir: a folder of the user's own.
    """
    found = {
        split: sources.find_file((file,), data_dir=data_dir, subfolder=folder) for split, (file, _) in files.items()
    }
    if None in found.values() and sources.tfds_prepared(name, data_dir=data_dir):
        return _from_tfds(name, splits=splits, address=address, data_dir=data_dir)
    parts: dict[str, list[Any]] = {"notes": []}
    for split, (file, checksum) in files.items():
        path, faults = found[split], Faults(skip=True)
        if path is None:
            path = sources.download(f"{address}/{file}", sha256=checksum, target=sources.data_home() / folder / file)
        elif (actual := sources.sha256(path)) != checksum:
            parts["notes"].append(f"{split}: {path} is not the published file (SHA-256 {actual[:12]}...)")
        parts[split] = squad.read(path, faults)
        parts["notes"] += faults.notes(split)
    return parts


def _from_tfds(name: str, *, splits: Mapping[str, str], address: str, data_dir: Path | None) -> dict[str, list[Any]]:
    _, items = sources.tfds_parts(name, splits=splits, origin=address, data_dir=data_dir)
    parts: dict[str, list[Any]] = {"notes": []}
    for split in splits:
        faults = Faults(skip=True)
        parts[split] = []
        for item in items[split]:
            entry = _entry(item)
            place = f"{name}: question {entry['id']}"
            try:
                parts[split].append(squad.question(entry, _text(item["context"]), _text(item["title"]), place=place))
            except InputError as error:
                faults.found(str(error))
        parts["notes"] += faults.notes(split)
    return parts


def _entry(item: Mapping[str, Any]) -> dict[str, Any]:
    answers = item["answers"]
    return {
        "id": _text(item["id"]),
        "question": _text(item["question"]),
        "answers": [
            {"text": _text(text), "answer_start": int(start)}
            for text, start in zip(answers["text"], answers["answer_start"], strict=True)
        ],
        "is_impossible": bool(item.get("is_impossible", False)),
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
