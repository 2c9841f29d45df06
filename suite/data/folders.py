"""Pictures or sounds of the user's own, with their classes: a folder for each class, or a table of paths and labels.

Files are listed and given a digest here; whoever knows their format decodes them and says what is in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.faults import Faults

PATHS = ("path", "file", "filename", "file_name")
LABELS = ("label", "class", "category", "target")
TABLES = {".csv": ",", ".tsv": "\t"}


def read(
    path: Path,
    faults: Faults,
    *,
    suffixes: Collection[str],
    describe: Callable[[Path], Mapping[str, Any]],
    kind: str = "file",
) -> list[dict[str, Any]]:
    """The files as ``{"path": ..., "label": ..., "digest": ..., **describe(path)}``, in the order of their paths or of
    the table.

    A folder holds one folder for each class, files anywhere below it; hidden files are passed over. A CSV or TSV file
    has a header with a column of paths, absolute or from the table's own folder, and one of labels.

    Args:
        path: the folder or the table.
        faults: told of files of other kinds, and of rows that lack something.
        suffixes: of the files, in small letters, such as ``{".wav", ".flac"}``.
        describe: a file -> what its light example says of it; an InputError says why it cannot be used.
        kind: what a file is, for messages.

    Raises:
        InputError: there is no such folder or table, it is no such table, or nothing in it can be used.
    """
    if path.is_dir():
        entries = _from_folder(path, faults, suffixes=suffixes, kind=kind)
    elif path.suffix.lower() in TABLES:
        entries = _from_table(path, faults, suffixes=suffixes, kind=kind)
    elif path.exists():
        raise InputError(f"{path}: expected a folder with a folder for each class, or a CSV or TSV of paths and labels")
    else:
        raise InputError(f"{path}: no such file or folder")
    light = []
    for entry in entries:
        try:
            light.append({**entry, **describe(Path(entry["path"]))})
        except InputError as error:
            faults.found(str(error))
    if not light:
        wanted = ", ".join(sorted(suffixes))
        raise InputError(f"{path}: no {kind} in it that can be used; expected {wanted}, in a folder for each class")
    return light


def _from_folder(path: Path, faults: Faults, *, suffixes: Collection[str], kind: str) -> list[dict[str, str]]:
    entries = []
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if file.is_dir() or any(part.startswith(".") for part in inside.parts):
            continue
        if len(inside.parts) == 1:
            faults.found(f"{file}: stands beside the classes' folders; expected {kind}s in a folder for each class")
        elif file.suffix.lower() not in suffixes:
            faults.found(f"{file}: not a {kind}; expected {', '.join(sorted(suffixes))}")
        elif digest := _digest(file, str(file), faults):
            entries.append({"path": str(file), "label": inside.parts[0], "digest": digest})
    return entries


def _from_table(path: Path, faults: Faults, *, suffixes: Collection[str], kind: str) -> list[dict[str, str]]:
    import pandas as pd

    try:
        table = pd.read_csv(
            path, sep=TABLES[path.suffix.lower()], dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; convert the file to UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table of paths and labels: {error}") from None
    columns = {str(name).strip().lower(): name for name in table.columns}
    paths = next((columns[name] for name in PATHS if name in columns), None)
    labels = next((columns[name] for name in LABELS if name in columns), None)
    if paths is None or labels is None:
        wanted, names = ("path", PATHS) if paths is None else ("label", LABELS)
        raise InputError(
            f"{path}:1: no column {wanted!r} (or {', '.join(names[1:])}); the header has {', '.join(columns)}"
        )
    entries = []
    for line, (name, label) in enumerate(
        zip(table[paths].str.strip(), table[labels].str.strip(), strict=True), start=2
    ):
        place, file = f"{path}:{line}", path.parent / name
        if not name or not label:
            faults.found(f"{place}: no {'label' if name else 'path'}; expected a path and a label")
        elif file.suffix.lower() not in suffixes:
            faults.found(f"{place}: {name} is not a {kind}; expected {', '.join(sorted(suffixes))}")
        elif digest := _digest(file, f"{place}: {name}", faults):
            entries.append({"path": str(file), "label": label, "digest": digest})
    return entries


def _digest(file: Path, shown: str, faults: Faults) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    except (OSError, ValueError) as error:  # a zero byte in a path is a ValueError
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        faults.found(f"{shown}: {reason}")
        return ""
