"""What the bytes of a leaderboard hold: whole rows, perhaps one that was cut off at the end, perhaps an older schema.

Rows are read as a stream, so that a file of a gigabyte costs no more than its bytes and what is kept of its rows.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leaderboard.schema import COLUMNS, SCHEMA_VERSION, from_cell
from suite.errors import InputError

_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors put before UTF-8


@dataclasses.dataclass(frozen=True)
class Board:
    """A file as it was read; it was checked as far as its header.

    Args:
        path: where it is, for messages.
        header: the names of its columns, in its order.
        data: its header and whole rows, ending in a line end.
        torn: the bytes of a row that was cut off.
    """

    path: Path
    header: list[str]
    data: bytes
    torn: bytes = b""

    @property
    def version(self) -> int:
        """The oldest schema that has the header's columns."""
        return max(COLUMNS[name].since for name in self.header if name in COLUMNS)

    @property
    def full_header(self) -> list[str]:
        """The header with the columns of newer schemas, each after the one that it follows in the table of columns."""
        header, before = list(self.header), ""
        for name in COLUMNS:
            if name not in header:
                header.insert(header.index(before) + 1, name)
            before = name
        return header

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row's line and cells, in the order of `header`.

        Raises:
            InputError: names the line that is no row of this schema.
        """
        version = self.header.index("schema_version")
        records = _records(self.path, self.data)
        next(records, None)
        for line, cells in records:
            if version < len(cells):
                _refuse_newer(self.path, line, cells[version])
            if len(cells) != len(self.header):
                raise InputError(
                    f"{self.path}, line {line}: {len(cells)} cells, where the header has {len(self.header)}"
                )
            yield line, cells

    def migrated(self) -> bytes:
        """The data with the columns of the newest schema, empty where the file had none; unchanged if it has them."""
        full = self.full_header
        if full == self.header:
            return self.data
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(full)
        places = [self.header.index(name) if name in self.header else None for name in full]
        for _, cells in self.rows():
            writer.writerow(["" if place is None else cells[place] for place in places])
        return (_MARK if self.data.startswith(_MARK) else b"") + text.getvalue().encode()


def parse(path: Path, data: bytes) -> Board:
    """The board in a file's bytes; an empty file is a board without rows.

    Raises:
        InputError: another program's file, or one of a newer schema; names the line.
    """
    end = data.rfind(b"\n") + 1 or len(data)
    records = _records(path, data[:end])
    _, header = next(records, (1, []))
    if not header:
        return Board(path, list(COLUMNS), (",".join(COLUMNS) + "\n").encode())
    _refuse_foreign(path, header, records)
    whole = data if _is_row(path, header, data[end:]) else data[:end]
    return Board(path, header, whole if whole.endswith(b"\n") else whole + b"\n", data[len(whole) :])


def value(path: Path, line: int, column: str, cell: str) -> Any:
    """The value of a cell; what is not of its column's type is told with its line."""
    try:
        return from_cell(column, cell)
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}") from error


def _records(path: Path, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, and the line on which it begins."""
    if b"\0" in data:
        _refuse_bytes(path, data)
    line = 1
    try:
        reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""), strict=True)
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except UnicodeDecodeError:
        _refuse_bytes(path, data)
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not a row of a CSV file: {error}") from error


def _refuse_bytes(path: Path, data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8 text. A leaderboard is a CSV file in UTF-8") from error
    line = data[: data.index(b"\0")].count(b"\n") + 1
    raise InputError(f"{path}, line {line}: a zero byte; not a text file")


def _is_row(path: Path, header: list[str], tail: bytes) -> bool:
    """Whether a last line without line end is a row: editors leave such lines, and so do crashes.

    It is taken for whole if no cell is missing and the last one is text, which may lose its end without harm.
    """
    with contextlib.suppress(InputError):
        for _, cells in _records(path, tail):
            return len(cells) == len(header) and header[-1] in COLUMNS and COLUMNS[header[-1]].dtype == "string"
    return False


def _refuse_newer(path: Path, line: int, cell: str) -> None:
    if cell in _KNOWN_VERSIONS:
        return
    version = value(path, line, "schema_version", cell)
    if version is not None and version > SCHEMA_VERSION:
        raise InputError(
            f"{path}, line {line}: schema version {version}, newer than {SCHEMA_VERSION}, the newest that is known "
            "here; update the suite"
        )


_KNOWN_VERSIONS = {str(version) for version in range(1, SCHEMA_VERSION + 1)}


def _refuse_foreign(path: Path, header: list[str], rows: Iterator[tuple[int, Sequence[str]]]) -> None:
    missing = [name for name, column in COLUMNS.items() if column.since == 1 and name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    twice = sorted({name for name in header if header.count(name) > 1})
    if missing:
        if "schema_version" in header:  # a newer schema may have other columns
            place = header.index("schema_version")
            for line, cells in rows:
                _refuse_newer(path, line, cells[place] if place < len(cells) else "")
        raise InputError(
            f"{path}, line 1: the header is not that of a leaderboard. Columns missing: {', '.join(missing)}; "
            f"unknown: {', '.join(unknown) or 'none'}. Name another file"
        )
    if twice:
        raise InputError(f"{path}, line 1: columns that appear twice: {', '.join(twice)}")
