"""The leaderboard's file: appended to by many runs at once, whole at every moment.

`append` writes the old rows and the new ones to a temporary file beside the board, forces it to the disk and moves it
over the board, all under a lock. The move is one step for the file system, so that whoever reads the board, or kills a
writer, finds all of the old file or all of the new one. Rewriting costs a few milliseconds a megabyte; appending in
place would need a repair after every crash and would show half-written rows to readers, who take no lock.

The old rows are copied byte for byte: columns that others added, and the way in which they were written, stay. Only a
board of an older schema is written anew when it is appended to: it gets the new columns, empty in its old rows, and the
file as it was stays beside it as `board.csv.v1.bak`.

A board is read as a stream: a file of a gigabyte costs its bytes and what is kept of its rows, not a Python list of all
cells.

Beside `board.csv` lie `board.csv.lock`, which is empty and may be deleted when nothing runs, and, where a row had been
cut off, `board.csv.bak`.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import itertools
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from leaderboard.parse import Board, parse, value
from leaderboard.schema import COLUMNS, from_cell, to_cell
from suite.errors import InputError, RunError

if TYPE_CHECKING:
    import pandas as pd

LOCK_SECONDS = 300.0
"""How long a run waits for the others. Each holds it for milliseconds, but a busy machine may keep it waiting, and
the rows of a long training are not to be lost for that."""

_CHUNK = 20_000  # rows that are turned into columns at once

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
            with _copy(path, _migrated(path, board) + _encode(board.full_header, fresh)) as copy:
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
        _not_yet_there(board, [])
        with _copy(path, board.migrated()):
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
    board = parse(path, data)
    if board.torn:
        warnings.warn(f"{path}: its last row is cut off and was left out", stacklevel=2)
    table: dict[str, list[Any]] = {name: [] for name in board.header}
    known = {name: _Values(name) for name in board.header if name in COLUMNS}
    rows = board.rows()
    while chunk := list(itertools.islice(rows, _CHUNK)):
        for name, cells in zip(board.header, zip(*(cells for _, cells in chunk), strict=True), strict=True):
            try:
                table[name].extend(map(known[name].__getitem__, cells) if name in known else cells)
            except ValueError:
                for (line, _), cell in zip(chunk, cells, strict=True):
                    value(path, line, name, cell)  # raises at the first that is wrong
    count = len(table[board.header[0]])
    made: dict[str, Any] = {}
    for name in board.full_header:
        dtype: Any = COLUMNS[name].dtype if name in COLUMNS else "string"
        missing = "" if dtype == "string" else None
        made[name] = pd.array(table.pop(name, [missing] * count), dtype=dtype)
    return pd.DataFrame(made)


def write_csv(path: str | os.PathLike[str], board: pd.DataFrame, *, wait_seconds: float = LOCK_SECONDS) -> None:
    """Write a whole board, such as one that was merged, to a new file; columns of others are kept.

    Raises:
        InputError: the file is there already, or cannot be written.
        RunError: as `append`.
    """
    path = _real(path)
    header = [*COLUMNS, *(name for name in board.columns if name not in COLUMNS)]
    columns = []
    for name in header:
        values = objects(board[name])
        foreign = name not in COLUMNS
        columns.append([value or "" for value in values] if foreign else [to_cell(name, value) for value in values])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    with _writing(path, wait_seconds):
        if path.exists() and path.stat().st_size:
            raise InputError(f"{path} is there already and is not overwritten. Name another file")
        with _copy(path, text.getvalue().encode()) as copy:
            copy.replace(path)


class _Values(dict[str, Any]):
    """A column's cells and their values: most cells stand in many rows, and are then made once and held once."""

    def __init__(self, column: str):
        super().__init__()
        self.column = column

    def __missing__(self, cell: str) -> Any:
        self[cell] = found = from_cell(self.column, cell)
        return found


def objects(column: pd.Series) -> list[Any]:
    """A column's values as Python's own, `None` for what is missing."""
    return column.astype(object).where(column.notna(), None).tolist()


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


def _repaired(path: Path) -> Board:
    """The board, after a row that was cut off was moved out of it into a backup."""
    board = parse(path, path.read_bytes() if path.exists() else b"")
    if board.torn:
        for _ in board.rows():  # raises where more is wrong than the end
            pass
        backup = path.with_name(path.name + ".bak")
        with _copy(path, board.data + board.torn) as copy:
            copy.replace(backup)
        with _copy(path, board.data) as copy:
            copy.replace(path)
        message = f"{path}: its last row was cut off and is taken out; the file as it was is {backup}"
        warnings.warn(message, stacklevel=3)
    return board


def _migrated(path: Path, board: Board) -> bytes:
    """The board's data under the newest schema; the file as it was is kept beside it, where that is another."""
    if board.full_header != board.header:
        with _copy(path, board.data) as copy:
            copy.replace(path.with_name(f"{path.name}.v{board.version}.bak"))
    return board.migrated()


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    if row.keys() != COLUMNS.keys():
        wrong = sorted(row.keys() ^ COLUMNS.keys())
        raise ValueError(f"a row has exactly the columns of the leaderboard. Missing or unknown: {', '.join(wrong)}")
    return {name: to_cell(name, row[name]) for name in COLUMNS}


def _not_yet_there(board: Board, lines: list[dict[str, str]]) -> list[dict[str, str]]:
    """The lines whose run, metric and status the board does not hold; none of them twice."""
    key = ("run_id", "metric", "status")
    run, *others = (board.header.index(name) for name in key)
    value = board.header.index("value")
    asked = {line["run_id"] for line in lines}
    known = {
        (cells[run], *(cells[place] for place in others)): cells[value]
        for _, cells in board.rows()
        if cells[run] in asked
    }
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
