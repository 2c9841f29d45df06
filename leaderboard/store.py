"""The leaderboard's file: appended to by many runs at once, whole at every moment.

`append` writes the old rows and the new ones to a temporary file beside the board, forces it to the disk and moves it
over the board, all under a lock. The move is one step for the file system, so that whoever reads the board, or kills a
writer, finds all of the old file or all of the new one. Rewriting costs a few milliseconds a megabyte; appending in
place would need a repair after every crash and would show half-written rows to readers, who take no lock.

The old rows are copied byte for byte: columns that others added, and the way in which they were written, stay.
Beside `board.csv` lie `board.csv.lock`, which is empty and may be deleted when nothing runs, and, where a row had been
cut off, `board.csv.bak`.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import io
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from leaderboard.schema import COLUMNS, SCHEMA_VERSION, from_cell, to_cell
from suite.errors import InputError, RunError

if TYPE_CHECKING:
    import pandas as pd

LOCK_SECONDS = 60.0
"""How long a run waits for the others; each of them holds the lock for some milliseconds."""

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def append(
    path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], *, wait_seconds: float = LOCK_SECONDS
) -> int:
    """Add rows to the board, all of them or none; a board that is not there yet is made.

    A row whose run, metric and status are there already is not added again, so that a run may be recorded twice
    without harm. A run that failed and was then resumed keeps its failed row and gets its scores.

    Args:
        path: the CSV file.
        rows: what `leaderboard.rows` gave.
        wait_seconds: how long to wait for other writers.

    Returns:
        The number of rows that were added.

    Raises:
        InputError: the file is no leaderboard that this suite may write to; see `check`.
        RunError: the disk is full or faulty, or the lock was not had in time. The board is as it was.
        ValueError: a row lacks a column, has one too many, or holds a value of the wrong type.
    """
    path = _real(path)
    lines = [_cells(row) for row in rows]
    with _writing(path, wait_seconds):
        board = _repaired(path)
        fresh = _not_yet_there(board, lines)
        if fresh:
            with _copy(path, board.data + _encode(board.header, fresh)) as copy:
                copy.replace(path)
    return len(fresh)


def check(path: str | os.PathLike[str], *, wait_seconds: float = LOCK_SECONDS) -> None:
    """Make sure, before any training starts, that `append` will work: it does all that `append` does but the move.

    A missing folder is made. A last row that was cut off is taken out with a warning; the file as it was stays beside
    the board as `.bak`.

    Raises:
        InputError: the path is a folder, may not be written to, or holds something else: another program's CSV, rows
            of a newer schema, text that is not UTF-8, a row with too few cells.
        RunError: the disk is full or faulty, or the lock was not had in time.
    """
    path = _real(path)
    with _writing(path, wait_seconds):
        board = _repaired(path)
        with _copy(path, board.data):
            pass


def read_csv(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The board as a table, with the dtypes of `COLUMNS`; columns that others added come as text.

    A last row that was cut off is left out with a warning. Reading changes nothing and waits for nobody.

    Raises:
        InputError: as in `check`, or a cell is not of its column's type; names the line.
    """
    import pandas as pd

    path = _real(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the leaderboard: {error}") from error
    board = _parse(path, data)
    if board.torn:
        warnings.warn(f"{path}: its last row is cut off and was left out", stacklevel=2)
    table: dict[str, Any] = {}
    for index, name in enumerate(board.header):
        cells = [(line, cells[index]) for line, cells in board.rows]
        values: Any = [_value(path, line, name, c) for line, c in cells] if name in COLUMNS else [c for _, c in cells]
        dtype: Any = COLUMNS[name].dtype if name in COLUMNS else "string"
        table[name] = pd.array(values, dtype=dtype)
    return pd.DataFrame(table)


@dataclasses.dataclass(frozen=True)
class _Board:
    """A file as it was read: whole rows as bytes and as (line, cells), and the bytes of a row that was cut off."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    data: bytes
    torn: bytes


def _real(path: str | os.PathLike[str]) -> Path:
    """The path with links followed: a link stays a link, and all its names share one lock."""
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def _writing(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the board's lock; what the operating system refuses meanwhile becomes a message for the user."""
    lock = path.with_name(path.name + ".lock")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: a leaderboard is a CSV file, and this is a folder or a device. Name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not lock.exists():
            lock.touch()  # gives the reason at once where FileLock would try again until its time is over
        with FileLock(lock, timeout=wait_seconds):
            if path.exists():
                path.open("r+b").close()  # a move would not heed that the file is read-only
            yield
    except Timeout as error:
        raise RunError(
            f"{lock}: another run has held this lock for {wait_seconds:g} s; is one of them stuck?"
        ) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: {path.parent} is a file, not a folder, or lies in one. Name another file") from error
    except OSError as error:
        reason = f"{path}: cannot write the leaderboard: {error}"
        if error.errno in _DISK_ERRORS:
            raise RunError(f"{reason}. The file is as it was; make room and record the run again") from error
        raise InputError(f"{reason}. Name a file that may be written to") from error


@contextlib.contextmanager
def _copy(path: Path, data: bytes) -> Iterator[Path]:
    """A complete file beside `path`, on the disk; at the end it is gone unless it was moved.

    Its name is always the same, so that one that a killed writer left is cleared away by the next.
    """
    copy = path.with_name(f".{path.name}.tmp")
    copy.unlink(missing_ok=True)
    try:
        with copy.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _repaired(path: Path) -> _Board:
    """The board, after a row that was cut off was moved out of it into a backup."""
    board = _parse(path, path.read_bytes() if path.exists() else b"")
    if board.torn:
        backup = path.with_name(path.name + ".bak")
        with _copy(path, board.data + board.torn) as copy:
            copy.replace(backup)
        with _copy(path, board.data) as copy:
            copy.replace(path)
        message = f"{path}: its last row was cut off and is taken out; the file as it was is {backup}"
        warnings.warn(message, stacklevel=3)
    return board


def _parse(path: Path, data: bytes) -> _Board:
    """What a file holds, refused with the line at fault where that is not a leaderboard of this schema."""
    end = data.rfind(b"\n") + 1 or len(data)
    lines = list(_records(path, data[:end]))
    if not lines:
        return _Board(list(COLUMNS), [], (",".join(COLUMNS) + "\n").encode(), b"")
    (_, header), *rows = lines
    last = _last_row(path, header, data[:end], data[end:])
    rows += last
    _refuse_newer(path, header, rows)
    _refuse_foreign(path, header)
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"{path}, line {line}: {len(cells)} cells, where the header has {len(header)}")
    torn = b"" if last else data[end:]
    whole = data[: len(data) - len(torn)]
    return _Board(header, rows, whole if whole.endswith(b"\n") else whole + b"\n", torn)


def _records(path: Path, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, and the line on which it begins."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8 text. A leaderboard is a CSV file in UTF-8") from error
    if "\0" in text:
        raise InputError(f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: a zero byte; not a text file")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not a row of a CSV file: {error}") from error


def _last_row(path: Path, header: list[str], before: bytes, tail: bytes) -> list[tuple[int, list[str]]]:
    """The row in a last line that has no line end: editors leave such lines, and so do crashes.

    The row is taken for whole if no cell is missing and the last one is text, which may lose its end without harm.
    """
    with contextlib.suppress(InputError):
        for _, cells in _records(path, tail):
            if len(cells) == len(header) and header[-1] in COLUMNS and COLUMNS[header[-1]].dtype == "string":
                return [(before.count(b"\n") + 1, cells)]
    return []


def _refuse_newer(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    if "schema_version" not in header:
        return
    index = header.index("schema_version")
    for line, cells in rows:
        version = _value(path, line, "schema_version", cells[index]) if index < len(cells) else None
        if version is not None and version > SCHEMA_VERSION:
            raise InputError(
                f"{path}, line {line}: schema version {version}, newer than {SCHEMA_VERSION}, the newest that is known "
                "here; update the suite"
            )


def _refuse_foreign(path: Path, header: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    twice = sorted({name for name in header if header.count(name) > 1})
    if missing:
        raise InputError(
            f"{path}, line 1: the header is not that of a leaderboard. Columns missing: {', '.join(missing)}; "
            f"unknown: {', '.join(unknown) or 'none'}. Name another file"
        )
    if twice:
        raise InputError(f"{path}, line 1: columns that appear twice: {', '.join(twice)}")


def _value(path: Path, line: int, column: str, cell: str) -> Any:
    try:
        return from_cell(column, cell)
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}") from error


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    if row.keys() != COLUMNS.keys():
        wrong = sorted(row.keys() ^ COLUMNS.keys())
        raise ValueError(f"a row has exactly the columns of the leaderboard. Missing or unknown: {', '.join(wrong)}")
    return {name: to_cell(name, row[name]) for name in COLUMNS}


def _not_yet_there(board: _Board, lines: list[dict[str, str]]) -> list[dict[str, str]]:
    """The lines whose run, metric and status the board does not hold; none of them twice."""
    key = ("run_id", "metric", "status")
    indices = [board.header.index(name) for name in key]
    value = board.header.index("value")
    known = {tuple(cells[i] for i in indices): cells[value] for _, cells in board.rows}
    fresh = []
    for line in lines:
        identity = tuple(line[name] for name in key)
        if identity not in known:
            known[identity] = line["value"]
            fresh.append(line)
        elif known[identity] != line["value"]:
            message = (
                f"run {line['run_id']!r}, metric {line['metric']!r}: the board holds {known[identity]} and keeps it"
            )
            warnings.warn(f"{message}; {line['value']} was not added", stacklevel=3)
    return fresh


def _encode(header: list[str], lines: list[dict[str, str]]) -> bytes:
    """CSV lines in the header's order, with empty cells for columns of others."""
    buffer = io.StringIO(newline="")
    csv.DictWriter(buffer, header, restval="", lineterminator="\n").writerows(lines)
    return buffer.getvalue().encode()
