r"""Running text: files of plain text, in pieces that can be told apart and put together again.

    {"text": "It was the best of times, ...\n", "path": "novels/tale.txt", "piece": 0}

A long text is cut at the ends of lines, so that a single file can be divided into training, validation and test, and so
that scores can be given for its parts. Pieces that follow each other in the file and in a split are one text again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.faults import Faults

SCHEMA = "text"

PIECES = 100  # about so many are made of a long text
SHORTEST, LONGEST = 500, 5000  # characters at which a piece may end, at the next end of a line
LINE = 1000  # characters after which a piece ends without one
FOLDER_SUFFIX = ".txt"
MANY = 10  # files of which whole ones can be held out


def read(path: Path, faults: Faults) -> list[dict[str, Any]]:
    """The texts of a file, of several (``a.txt,b.txt``), or of all `.txt` files in a folder and below, in pieces.

    UTF-8, with or without a byte order mark; line ends CRLF and CR are read as LF. Hidden files are passed over.

    Args:
        path: the file, files or folder.
        faults: hears of each file that cannot be read, is empty, or is not UTF-8.

    Raises:
        InputError: there is no such file or folder, no text in the folder, or none that can be used.
    """
    examples: list[dict[str, Any]] = []
    for file in _files(path):
        try:
            examples += pieces(_text(file), path=str(file))
        except InputError as error:
            faults.found(str(error))
    if not examples:
        raise InputError(f"{path}: no text in it that can be used; expected plain text in UTF-8")
    return examples


def pieces(text: str, *, path: str, size: int | None = None) -> list[dict[str, Any]]:
    """A text as examples, whose texts put together are the text.

    Args:
        text: the text.
        path: what tells it from others.
        size: characters of a piece at least; by default a hundredth of the text, within limits.
    """
    size = size or min(LONGEST, max(SHORTEST, len(text) // PIECES))
    return [{"text": part, "path": path, "piece": number} for number, part in enumerate(_cut(text, size))]


def follows(before: Mapping[str, Any], example: Mapping[str, Any]) -> bool:
    """Whether an example goes on where the other ends.

    Example:

    >>> first, second = pieces("one\\ntwo\\n", path="a.txt", size=2)
    >>> follows(first, second), follows(second, first), follows({"text": "a"}, {"text": "b"})
    (True, False, False)
    """
    return (
        "piece" in before
        and "piece" in example
        and before["path"] == example["path"]
        and before["piece"] + 1 == example["piece"]
    )


def groups(examples: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What no cut between splits separates: whole files where there are many, else each piece for itself."""
    paths = [example.get("path", number) for number, example in enumerate(examples)]
    return paths if len(set(paths)) >= MANY else list(range(len(examples)))


def _cut(text: str, size: int) -> Iterator[str]:
    begin = 0
    while len(text) - begin > size:
        end = text.find("\n", begin + size - 1, begin + size + LINE) + 1 or begin + size
        if len(text) - end < size // 2:
            break
        yield text[begin:end]
        begin = end
    yield text[begin:]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        inside = [file for file in path.rglob("*") if not _hidden(file.relative_to(path))]
        files = sorted(file for file in inside if file.is_file() and file.suffix.lower() == FOLDER_SUFFIX)
        if not files:
            others = sum(file.is_file() for file in inside)
            raise InputError(
                f"{path}: no text in this folder; expected files that end in {FOLDER_SUFFIX}, found {others} other(s)"
            )
        return files
    if path.exists() or "," not in str(path):
        return [path]
    return [file for part in str(path).split(",") for file in _files(Path(part.strip()))]


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        place = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = len(re.findall(rb"\r\n|\r|\n", data[:place])) + 1
        raise InputError(
            f"{path}:{line}: byte {place:,} of the file, 0x{data[place]:02x}, is not UTF-8; convert the file to UTF-8"
        ) from None
    if not text.strip():
        raise InputError(f"{path}: no text in this file; expected plain text")
    return text.replace("\r\n", "\n").replace("\r", "\n")
