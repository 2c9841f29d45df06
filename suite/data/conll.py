"""CoNLL files: one token a line with its tag in the last column, a blank line between sentences.

EU	B-ORG
rejects	O
German	B-MISC
call	O
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.faults import Faults

_BOM = b"\xef\xbb\xbf"
_TAG = re.compile(r"O|[BIELSU]-\S+")
_BLANKS = " \t"  # what separates columns; a token may be or hold any other white space
_SHOWN = 60  # characters of a faulty line that an error shows


def read(path: Path, faults: Faults | None = None) -> list[dict[str, Any]]:
    """The sentences of a CoNLL file as ``{"tokens": [...], "tags": [...]}``, tags in IOB2.

    The token is the first column and the tag is the last. A line with a tab is split at tabs, so that a token may
    contain spaces; any other line is split at spaces. Blank lines end a sentence, also those of white space alone, and
    so do ``-DOCSTART-`` lines. Comments as in CoNLL-U (``# text = ...``) are skipped where they cannot be a token: they
    start with a hash and a space, have no tab, and either the file is split at tabs or their last word is no tag.
    UTF-8, with or without a byte order mark; lines end in LF, CRLF or CR.

    Tags may be IOB1, IOB2, BIOES or BILOU; see `iob2`. No token is ever dropped.

    Args:
        path: the file.
        faults: told of each line that is wrong; where faults are skipped, its sentence is left out.

    Raises:
        InputError: the file cannot be read or is no CoNLL file; the message says in which line and what was expected.
    """
    lines = list(_decoded(_bytes(path), path))
    tabs = any("\t" in line.strip(_BLANKS) for line in lines)
    examples: list[dict[str, Any]] = []
    tokens: list[str] = []
    tags: list[str] = []
    faults, whole = faults or Faults(), True
    for number, line in enumerate([*lines, ""], start=1):
        if not line.strip() or line.split(maxsplit=1)[0] == "-DOCSTART-":
            if tokens and whole:
                examples.append({"tokens": tokens, "tags": iob2(tags)})
            tokens, tags, whole = [], [], True
        elif not _is_comment(line, tabs=tabs):
            try:
                token, tag = _columns(line, f"{path}:{number}")
            except InputError as error:
                faults.found(str(error))
                whole = False
            else:
                tokens.append(token)
                tags.append(tag)
    if not examples:
        raise InputError(f"{path}: no sentence in this file; expected lines of a token and a tag, such as 'EU B-ORG'")
    return examples


def iob2(tags: Iterable[str]) -> list[str]:
    """The same entities in IOB2, where every entity starts with ``B-``.

    Entities start and end where conlleval says they do: at ``B-``, ``S-`` and ``U-``, where the type changes, and at
    any tag that follows ``O``, ``E-``, ``L-``, ``S-`` or ``U-``.

    Example:

    >>> iob2(["I-PER", "I-PER", "B-PER", "I-LOC", "O", "E-ORG", "U-LOC"])
    ['B-PER', 'I-PER', 'B-PER', 'B-LOC', 'O', 'B-ORG', 'B-LOC']

    Reference: Tjong Kim Sang and Buchholz, 2000, "Introduction to the CoNLL-2000 shared task: chunking", and the
    scorer that was published with it.
    """
    converted = []
    before, type_before = "O", ""
    for tag in tags:
        prefix, _, type_ = tag.partition("-")
        starts = prefix in "BSU" or before in "OELSU" or type_ != type_before
        converted.append("O" if prefix == "O" else f"{'B' if starts else 'I'}-{type_}")
        before, type_before = prefix, type_
    return converted


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a CoNLL file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if b"\0" in data:
        line = len(data[: data.index(b"\0") + 1].splitlines())
        raise InputError(f"{path}:{line}: a zero byte; expected a text file in UTF-8 (UTF-16 has to be converted)")
    return data.removeprefix(_BOM)


def _decoded(data: bytes, path: Path) -> Iterator[str]:
    # bytes.splitlines knows LF, CRLF and CR alone; str.splitlines would also cut tokens at rarer separators.
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}:{number}: byte 0x{line[error.start]:02x} is not UTF-8; convert the file to UTF-8"
            ) from None


def _is_comment(line: str, *, tabs: bool) -> bool:
    return line.startswith("# ") and "\t" not in line and (tabs or not _TAG.fullmatch(line.split()[-1]))


def _columns(line: str, place: str) -> tuple[str, str]:
    columns: Sequence[str]
    if "\t" in line.strip(_BLANKS):
        columns = [column.strip(" ") for column in line.rstrip(_BLANKS).split("\t")]
    else:
        columns = [column for column in line.replace("\t", " ").split(" ") if column]
    shown = repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")
    if len(columns) < 2:
        raise InputError(f"{place}: expected at least 2 columns, a token and a tag; received {len(columns)} in {shown}")
    token, tag = columns[0], columns[-1]
    if not token:
        raise InputError(f"{place}: the first column, the token, is empty in {shown}")
    if not _TAG.fullmatch(tag):
        raise InputError(f"{place}: expected a tag such as O, B-PER or I-PER in the last column; received {tag!r}")
    return token, tag
