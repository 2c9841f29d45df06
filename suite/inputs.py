"""What a person gives a trained model to answer, on the command line, in a file, or on standard input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from suite.errors import InputError
from suite.task import Answer, Example, Task

Given = Mapping[str, str]  # field -> text


def collect(
    task: Task, texts: Sequence[str], *, file: Path | None, standard_input: TextIO | None, context: str | None
) -> list[tuple[Given, Example]]:
    """Each input as it was given, and as an example.

    An input is a JSON object with the task's fields, or its fields separated by tabs, or, where `context` gives the
    first field, the last one alone.

    Args:
        task: the task.
        texts: from the command line.
        file: one input a line.
        standard_input: one input a line; read where there is nothing else. `None` where a person sits before it.
        context: the first field of all inputs; `@FILE` stands for what is in a file.

    Raises:
        InputError: there is no input, or one of them is wrong; the message says where and what is expected.
    """
    if context is not None and len(task.fields) == 1:
        raise InputError(f"--context: {task.name} reads nothing but {task.fields[0]}")
    shared = _text_or_file(context)
    found = [(f"input {number}", text) for number, text in enumerate(texts, start=1)]
    if file is not None:
        found += _lines(_read(file), str(file))
    if not found and standard_input is not None:
        found = _lines(standard_input.read(), "standard input")
    if not found:
        raise InputError(f"nothing to answer: give {_expected(task)}, or a --file with one a line, or pipe them in")
    return [_example(task, text, place, shared) for place, text in found]


def as_text(given: Given, answers: Sequence[Answer]) -> str:
    """One line: the answers with their probabilities, separated by tabs, the best first.

    Of texts that were written a single one stands alone, and several have their scores.
    """
    if len(answers) == 1 and "score" in answers[0]:
        return " ".join(str(answers[0]["answer"]).split())
    cells = []
    for answer in answers:
        number = answer.get("score", answer["probability"])
        cells += [str(answer["answer"]), "n/a" if number is None else f"{number:.4f}"]
    return "\t".join(" ".join(cell.split()) for cell in cells)


def as_json(given: Given, answers: Sequence[Answer]) -> str:
    """One line of JSON: the input and its answers."""
    return json.dumps({"input": dict(given), "answers": list(answers)}, ensure_ascii=False)


def _example(task: Task, text: str, place: str, shared: str | None) -> tuple[Given, Example]:
    given = _fields(task, text, place, shared)
    try:
        return given, task.example(given)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _fields(task: Task, text: str, place: str, shared: str | None) -> Given:
    first = task.fields[0]
    known: dict[str, str] = {} if shared is None else {first: shared}
    missing = [field for field in task.fields if field not in known]
    value = _json_object(text)
    if value is not None:
        known |= {field: value[field] for field in missing if isinstance(value.get(field), str)}
    elif len(missing) == 1:
        known[missing[0]] = text
    elif len(parts := text.split("\t")) == len(missing):
        known |= dict(zip(missing, parts, strict=True))
    absent = [field for field in task.fields if field not in known]
    if absent:
        raise InputError(f"{place}: no {' and no '.join(absent)}; expected {_expected(task)}")
    return {field: known[field] for field in task.fields}


def _expected(task: Task) -> str:
    if len(task.fields) == 1:
        return f"a {task.fields[0]}"
    first = task.fields[0]
    shape = json.dumps(dict.fromkeys(task.fields, "..."))
    return f"{' and '.join(task.fields)} as {shape}, or separated by a tab, or the {first} by --context"


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _lines(text: str, place: str) -> list[tuple[str, str]]:
    lines = text.removesuffix("\n").split("\n") if text else []
    return [(f"{place}:{number}", line.removesuffix("\r")) for number, line in enumerate(lines, start=1)]


def _text_or_file(context: str | None) -> str | None:
    return _read(Path(context[1:])) if context is not None and context.startswith("@") else context


def _read(path: Path) -> str:
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is not UTF-8; expected a text file with one input a line"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
