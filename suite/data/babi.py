"""bAbI files: stories of one sentence a line, with questions in between.

1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary?<TAB>bathroom<TAB>1

The number of a line is 1 where a new story begins. A question gives its answer and the lines that support it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.faults import Faults

_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"([0-9]{1,6}) +(.*)", re.DOTALL)
_NAME = re.compile(r"(qa[0-9]+)(_.*)?|(.*?)_(train|valid|validation|dev|test)", re.IGNORECASE | re.DOTALL)
_ANSWER = re.compile(r"[^,\s][^,]*(,[^,]*[^,\s][^,]*)*", re.DOTALL)
_SHOWN = 60  # characters of a faulty line that an error shows
_EXPECTED = "expected a number and a sentence, or a number and a question<TAB>answer<TAB>numbers of supporting lines"


def read(path: Path, faults: Faults) -> list[dict[str, Any]]:
    """The questions of a file, ``{"story": [sentence, ...], "question": ..., "label": answer, "task": name}``.

    The story of a question is all sentences before it since its story began; other questions are no part of it. An
    answer of several words between commas stays one answer: ``"apple,milk"``. The supporting lines may be left out;
    where they are given they are checked, and the example does not have them, since no model may read them. The task
    is called after the file: ``qa3`` for ``qa3_three-supporting-facts_train.txt``.

    UTF-8, with or without a byte order mark; lines end in LF, CRLF or CR, and empty lines are passed over.

    Args:
        path: the file.
        faults: told of each line that is wrong. A question that is wrong is left out. After a sentence that is wrong
            the rest of its story cannot be trusted: it is told of each of its questions, and they are left out.

    Raises:
        InputError: the file cannot be read or has no question that can be used.
    """
    name, examples = task_name(path), []
    for story in _stories(_bytes(path), path):
        sentences: dict[int, str] = {}
        broken, asked = "", 0
        for line in story:
            asked += line.question
            fault = line.fault or (_wrong(line, sentences) if line.question and not broken else "")
            if broken and line.question:
                faults.found(f"{line.place}: the question is left out, since {broken}")
            elif broken:
                continue
            elif fault:
                faults.found(f"{line.place}: {fault}; {_EXPECTED}")
                if line.breaks:
                    broken = f"{line.place} cannot be used"
            elif line.question:
                answer = ",".join(part.strip() for part in line.columns[1].split(","))
                told = list(sentences.values())
                examples.append({"story": told, "question": line.columns[0], "label": answer, "task": name})
            else:
                sentences[line.number] = line.columns[0]
        if not asked and not broken:
            faults.found(f"{story[0].place}: a story without a question; {_EXPECTED}")
    if not examples:
        raise InputError(f"{path}: no question in this file that can be used; {_EXPECTED}")
    return examples


def task_name(path: Path) -> str:
    """What the questions of a file are called.

    Example:

    >>> task_name(Path("en/qa3_three-supporting-facts_test.txt")), task_name(Path("mine_train.txt"))
    ('qa3', 'mine')
    """
    found = _NAME.fullmatch(path.stem)
    if found is None:
        return path.stem
    return (found[1] or found[3] or path.stem).lower()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line:
    """A line of a story.

    Args:
        place: its file and number.
        number: its number in the story; 0 where none can be read.
        columns: the rest of it.
        question: whether it asks something, and so is no part of the story.
        fault: what is wrong with it.
        breaks: whether the story cannot be trusted after that.
    """

    place: str
    number: int = 0
    columns: tuple[str, ...] = ()
    question: bool = False
    fault: str = ""
    breaks: bool = False


def _stories(data: bytes, path: Path) -> Iterator[list[_Line]]:
    """The lines of one story after the other. A line with the number 1 begins a story; numbers then go up by 1."""
    story: list[_Line] = []
    # bytes.splitlines knows LF, CRLF and CR alone; str.splitlines would also cut at rarer separators.
    for count, raw in enumerate(data.splitlines(), start=1):
        if not raw.strip():
            continue
        line = _parse(raw, f"{path}:{count}")
        if line.number == 1 and story:
            yield story
            story = []
        expected = story[-1].number + 1 if story else 1
        if line.number not in (0, expected):
            known = f"{expected}, or 1 for a new story" if story else "1"
            fault = f"number {line.number} where {known} was expected"
            line = dataclasses.replace(line, fault=fault, breaks=True)
        # A line whose number cannot be read stands for one line of the story.
        story.append(line if line.number else dataclasses.replace(line, number=expected))
    if story:
        yield story


def _parse(raw: bytes, place: str) -> _Line:
    question = b"\t" in raw.strip(b"\r\n")
    fault = ""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        text, fault = "", f"byte 0x{raw[error.start]:02x} is not UTF-8; convert the file to UTF-8"
    if "\0" in text:
        fault = "a zero byte (UTF-16 has to be converted to UTF-8)"
    found = _LINE.fullmatch(text)
    if found is None or fault:
        fault = fault or f"no number and space at the beginning of {_shown(text)}"
        return _Line(place=place, question=question, fault=fault, breaks=not question)
    number, columns = int(found[1]), tuple(column.strip() for column in found[2].split("\t"))
    if not columns[0]:
        fault = f"nothing is said in {_shown(text)}"
    elif not question and "?" in columns[0]:
        question, fault = True, f"a question without an answer in {_shown(text)}"
    breaks = bool(fault) and not question
    return _Line(place=place, number=number, columns=columns, question=question, fault=fault, breaks=breaks)


def _wrong(line: _Line, sentences: dict[int, str]) -> str:
    """What is wrong with the columns of a question."""
    if len(line.columns) not in (2, 3):
        return f"{len(line.columns)} columns"
    if not sentences:
        return "a question before any sentence of its story"
    if not _ANSWER.fullmatch(line.columns[1]):
        return f"an answer is missing in {line.columns[1]!r}"
    supporting = line.columns[2].split() if len(line.columns) == 3 else []
    known = {str(number) for number in sentences}
    for number in supporting:
        if number not in known:
            return f"supporting line {_shown(number)}, which is no sentence before it in its story"
    return ""


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a bAbI file")
    try:
        return path.read_bytes().removeprefix(_BOM)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
