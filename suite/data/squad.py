"""SQuAD's JSON files: questions about paragraphs, each answered by a stretch of its paragraph or by nothing.

{"version": "v2.0", "data": [{"title": "Normans", "paragraphs": [{
    "context": "The Normans gave their name to Normandy.",
    "qas": [{"id": "1", "question": "What did they name?", "answers": [{"text": "Normandy", "answer_start": 31}]},
            {"id": "2", "question": "Who was Rollo?", "answers": [], "is_impossible": true}]}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.faults import Faults

SCHEMA = "context,question->span"

_FORM = '{"data": [{"paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ..., "answers": [...]}]}]}]}'
_SHOWN = 40  # characters of a text that an error shows


def read(path: Path, faults: Faults) -> list[dict[str, Any]]:
    """The questions of a file in SQuAD's format, v1.1 or v2.0, in their order.

    Each is ``{"id", "title", "context", "question", "answers": [{"text", "start"}, ...]}``; no answers mean that the
    context does not tell, which the file has to say with ``"is_impossible": true``. Offsets count Unicode characters
    from 0, and ``context[start : start + len(text)]`` is always ``text``.

    A question that cannot be used is a fault, named by file and id: an answer that does not stand at its place, no
    answer and not impossible, both at once, an empty text, an id that occurs twice. So is a paragraph or an article
    without its parts.

    Raises:
        InputError: the file cannot be read, is no JSON of this form, or holds no question that can be used; and at the
            first fault, unless faults are skipped.
    """
    known: set[str] = set()
    examples = []
    for place, title, paragraph in _paragraphs(_articles(path), str(path), faults):
        for number, entry in enumerate(_list(paragraph, "qas", place, faults), start=1):
            try:
                identity = _identity(entry, f"{place}, question {number}")
                where = f"{path}: question {identity}"
                if identity in known:
                    raise InputError(f"{where}: the id occurs twice; expected one of its own for each question")
                example = question(entry, paragraph.get("context"), title, place=where)
            except InputError as error:
                faults.found(str(error))
                continue
            known.add(identity)
            examples.append(example)
    if not examples:
        raise InputError(f"{path}: no question that can be used; expected {_FORM}")
    return examples


def question(entry: Mapping[str, Any], context: Any, title: str, *, place: str) -> dict[str, Any]:
    """One entry of ``"qas"`` with its context, as `read` gives it.

    Raises:
        InputError: what is wrong with it, beginning with `place`.
    """
    example = {
        "id": entry["id"],
        "title": title,
        "context": _text(context, place, "context"),
        "question": _text(entry.get("question"), place, "question"),
    }
    impossible = entry.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise InputError(f"{place}: is_impossible is {_shown(impossible)}; expected true or false")
    found = entry.get("answers")
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise InputError(f"{place}: answers is {_shown(found)}; expected a list of answers")
    if impossible and found:
        raise InputError(f"{place}: is_impossible, and yet it has answers; expected one or the other")
    if not impossible and not found:
        raise InputError(f'{place}: no answer; expected at least one, or "is_impossible": true')
    return {**example, "answers": [_answer(answer, example["context"], place) for answer in found]}


def _identity(entry: Any, place: str) -> str:
    if not isinstance(entry, Mapping):
        raise InputError(f'{place}: received {_shown(entry)}; expected {{"id": ..., "question": ..., "answers": ...}}')
    return _text(entry.get("id"), place, "id")


def _answer(answer: Any, context: str, place: str) -> dict[str, Any]:
    if not isinstance(answer, Mapping):
        raise InputError(f'{place}: an answer is {_shown(answer)}; expected {{"text": ..., "answer_start": ...}}')
    text, start = _text(answer.get("text"), place, "an answer's text"), answer.get("answer_start")
    if not isinstance(start, int) or isinstance(start, bool):
        raise InputError(
            f"{place}: answer_start is {_shown(start)}; expected the number of the answer's first character"
        )
    if start < 0 or context[start : start + len(text)] != text:
        there = context[start : start + len(text)] if start >= 0 else ""
        first = context.find(text)
        hint = f"it stands at {first}" if first >= 0 else "it occurs nowhere in it"
        raise InputError(
            f"{place}: the answer {_shown(text)} does not occur at character {start} of its context, where "
            f"{_shown(there) if there else 'nothing'} stands; {hint}"
        )
    return {"text": text, "start": start}


def _articles(path: Path) -> list[Any]:
    value = _json(path)
    if not isinstance(value, Mapping) or not isinstance(value.get("data"), list):
        raise InputError(f"{path}: not a file in SQuAD's format; expected {_FORM}")
    return value["data"]


def _paragraphs(articles: list[Any], path: str, faults: Faults) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The place, title and content of each paragraph."""
    for number, article in enumerate(articles, start=1):
        place = f"{path}: article {number}"
        title = article.get("title", "") if isinstance(article, Mapping) else ""
        for count, paragraph in enumerate(_list(article, "paragraphs", place, faults), start=1):
            inner = f"{place}, paragraph {count}"
            if isinstance(paragraph, Mapping):
                yield inner, title if isinstance(title, str) and _is_unicode(title) else "", paragraph
            else:
                faults.found(f'{inner}: received {_shown(paragraph)}; expected {{"context": ..., "qas": [...]}}')


def _list(parent: Any, key: str, place: str, faults: Faults) -> list[Any]:
    found = parent.get(key) if isinstance(parent, Mapping) else None
    if isinstance(found, list):
        return found
    faults.found(f"{place}: {key} is {_shown(found)}; expected a list")
    return []


def _text(value: Any, place: str, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: {name} is {_shown(value)}; expected a text that is not empty")
    if not _is_unicode(value):
        raise InputError(f"{place}: {name} holds half a surrogate pair, such as \\ud83d alone; expected Unicode text")
    return value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    text = ascii(value) if isinstance(value, str) and not _is_unicode(value) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_object)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; expected a JSON file in SQuAD's format") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start:,} is not UTF-8; convert the file to UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON that can be read: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {_shown(twice)} occurs twice in one object, and one of its values would be lost")
    return found
