"""Tables of texts and their labels: CSV, TSV and JSON lines.

text,label                          text<TAB>label          {"text": "Dull, but short.", "label": "negative"}
"Dull, but short.",negative         Dull, but short.<TAB>negative
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from suite.errors import InputError
from suite.faults import Faults

TEXTS = ("text", "sentence", "review", "content", "document", "comment", "phrase", "body")
LABELS = ("label", "sentiment", "class", "category", "topic", "target")
"""Names that the columns may have; where a file has several, the first of these counts."""

_SUFFIXES = ".csv, .tsv or .jsonl"
_SHOWN = 60  # characters of a faulty entry that an error shows


class _Row(NamedTuple):
    line: int  # where it begins
    values: Mapping[str, Any]


def read(path: Path, faults: Faults) -> list[dict[str, str]]:
    """The entries of a file as ``{"text": ..., "label": ...}``, in its order. Its suffix says what it is.

    - ``.csv``: comma or semicolon, whichever gives the columns; fields in double quotes may hold separators and line
      breaks, and doubled quotes stand for one.
    - ``.tsv``: a tab, one entry a line. A field that stands in double quotes altogether is taken out of them.
    - ``.jsonl``, ``.ndjson``: one object a line; a label may be an integer, too.

    The first line of a table names its columns, `TEXTS` and `LABELS` say how, in capitals or small letters; other
    columns are not read. Labels lose the blanks around them, texts stay as they are. UTF-8, with or without a byte
    order mark, or UTF-16 with one; lines end in LF, CRLF or CR, and empty lines are passed over.

    Args:
        path: the file.
        faults: hears of each entry that cannot be used: its text or label is missing or empty, it has too few or too
            many fields, it is no JSON object, or holds what is no text.

    Raises:
        InputError: the file cannot be read, is not the UTF-16 that it says it is, does not have both columns, has one
            name for two columns, is a CSV file whose quotes do not match, or has no usable entry.
    """
    kinds = {".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".ndjson": _jsonl}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: expected a file that ends in {_SUFFIXES}. Received: {path.suffix or 'no suffix'}")
    examples = []
    for row in kind(_decoded(path), path, faults):
        try:
            examples.append({"text": _text(row.values), "label": _label(row.values)})
        except _EntryError as error:
            faults.found(f"{path}:{row.line}: {error}")
    if not examples:
        raise InputError(f"{path}: no usable entry in this file; expected at least one text with a label")
    return examples


class _EntryError(ValueError):
    """An entry from which no example can be made."""


def _text(values: Mapping[str, Any]) -> str:
    name, text = _found(values, TEXTS)
    if not isinstance(text, str):
        raise _EntryError(f"{name} is {_shown(text)}; expected a text")
    _check_characters(name, text)
    if not text.strip():
        raise _EntryError(f"{name} is empty; expected a text")
    return text


def _label(values: Mapping[str, Any]) -> str:
    name, label = _found(values, LABELS)
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    if not isinstance(label, str):
        raise _EntryError(f"{name} is {_shown(label)}; expected a text or an integer")
    _check_characters(name, label)
    if not label.strip():
        raise _EntryError(f"{name} is empty; expected the text's class")
    return label.strip()


def _found(values: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any]:
    name = next((name for name in names if name in values), None)
    if name is None:
        raise _EntryError(_missing(list(values), names))
    return name, values[name]


def _missing(found: Sequence[str], names: Sequence[str]) -> str:
    shown = ", ".join(map(_shown, found)) or "none"
    return f"no column for the {names[0]}; found {shown}; expected one of {', '.join(names)}"


def _check_characters(name: str, text: str) -> None:
    """Bytes that are no UTF-8 arrive here as lone surrogates, U+DC80 to U+DCFF."""
    if "\0" in text:
        raise _EntryError(f"{name} holds a zero byte; expected text in UTF-8")
    wrong = next((character for character in text if "\ud800" <= character <= "\udfff"), None)
    if wrong is not None:
        what = f"byte 0x{ord(wrong) - 0xDC00:02x}" if "\udc80" <= wrong <= "\udcff" else f"U+{ord(wrong):04X}"
        raise _EntryError(f"{what} in {name} is not UTF-8; convert the file to UTF-8")


def _decoded(path: Path) -> str:
    """The whole file; what is not UTF-8 becomes lone surrogates, for which `_check_characters` looks."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file that ends in {_SUFFIXES}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: byte {error.start} is not UTF-16, as its first bytes say it is") from None
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _csv(text: str, path: Path, faults: Faults) -> Iterator[_Row]:
    separator = next((each for each in ",;" if _has_columns(_first_record(text, each))), ",")
    yield from _table(_records(text, separator, path), path, faults)


def _first_record(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:
        return []


def _has_columns(header: Sequence[str]) -> bool:
    names = [_column(name) for name in header]
    return all(any(name in names for name in wanted) for wanted in (TEXTS, LABELS))


def _records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            with _large_fields():
                fields = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path}:{begin}: {error}; expected a field with quotes to stand in double quotes, its own doubled"
            ) from None
        if fields is None:
            return
        if fields:
            yield begin, fields


@contextmanager
def _large_fields() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _tsv(text: str, path: Path, faults: Faults) -> Iterator[_Row]:
    records = ((number, [_unquoted(field) for field in line.split("\t")]) for number, line in _lines(text))
    yield from _table(records, path, faults)


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    if len(field) < 2 or field[0] != '"' or field[-1] != '"' or '"' in inner.replace('""', ""):
        return field
    return inner.replace('""', '"')


def _table(records: Iterator[tuple[int, list[str]]], path: Path, faults: Faults) -> Iterator[_Row]:
    """Rows as mappings from the header's names."""
    begin, header = next(records, (1, []))
    names = [_column(name) for name in header]
    for wanted in (TEXTS, LABELS):
        if not any(name in names for name in wanted):
            raise InputError(f"{path}:{begin}: {_missing(header, wanted)}")
        if repeated := [name for name in wanted if names.count(name) > 1]:
            raise InputError(f"{path}:{begin}: two columns are called {repeated[0]!r}; expected one")
    for line, fields in records:
        if len(fields) == len(names):
            yield _Row(line, dict(zip(names, fields, strict=True)))
        else:
            faults.found(
                f"{path}:{line}: expected {len(names)} fields, as the header has; received {len(fields)} in "
                f"{_shown(fields)}"
            )


def _column(name: str) -> str:
    return name.strip().lower()


def _jsonl(text: str, path: Path, faults: Faults) -> Iterator[_Row]:
    for number, line in _lines(text):
        try:
            value = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            faults.found(f"{path}:{number}: not a JSON object: {error}; received {_shown(line)}")
            continue
        if isinstance(value, dict):
            yield _Row(number, value)
        else:
            faults.found(f"{path}:{number}: expected a JSON object; received {_shown(line)}")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [_column(name) for name, _ in pairs]
    if repeated := [name for name in names if names.count(name) > 1 and name in (*TEXTS, *LABELS)]:
        raise ValueError(f"two values are called {repeated[0]!r}")
    return {name: value for name, (_, value) in zip(names, pairs, strict=True)}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers; str.splitlines would also cut texts at rarer separators."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line.strip():
            yield number, line.removesuffix("\n")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
