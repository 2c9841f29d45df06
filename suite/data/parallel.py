"""Texts and their translations: two files line by line, TSV and JSON lines, each of them plain or gzip.

a.en                  a.de                   pairs.tsv                     pairs.jsonl
A dog runs.           Ein Hund läuft.        A dog runs.<TAB>Ein Hund...   {"source": "A dog runs.", "target": "Ein..."}
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from suite.data import sources
from suite.errors import InputError, did_you_mean
from suite.faults import Faults

SCHEMA = "source->target"
SOURCES, TARGETS = ("source", "src", "input", "text"), ("target", "tgt", "output", "translation")
"""Names that the two columns of a table may have; where it has several, the first of these counts."""

_FORMS = "two files 'a.en,a.de', line by line, or one that ends in .tsv or .jsonl; each may end in .gz as well"
_SHOWN = 60  # characters of a faulty entry that an error shows


class _Line(NamedTuple):
    place: str  # file:line
    text: str


def read(path: Path, faults: Faults) -> list[dict[str, str]]:
    """The pairs of a file, or of two, as ``{"source": ..., "target": ...}``, in their order.

    - ``a.en,a.de``: two files, of which line n of one translates line n of the other. Where the second one's suffix is
      that of a language, ``"language"`` tells it.
    - ``.tsv``: a tab between the two. The first line may name the columns, `SOURCES` and `TARGETS` say how, and there
      may be others then.
    - ``.jsonl``, ``.ndjson``: one object a line, with these names.

    A ``.gz`` behind it is unpacked. UTF-8, with or without a byte order mark; lines end in LF or CRLF. Texts lose the
    blanks around them. Lines that are empty on both sides are passed over.

    Args:
        path: one file, or two with a comma between them.
        faults: hears of each pair that cannot be used: one side is empty, is no text, no UTF-8, or holds a zero byte.

    Raises:
        InputError: a file cannot be read, the two do not have the same number of lines, a table has no columns for
            both, or there is no usable pair.
    """
    names = str(path).split(",")
    if len(names) == 1 or path.is_file():
        kinds = {".tsv": _tsv, ".jsonl": _jsonl, ".ndjson": _jsonl}
        suffix = _suffix(path)
        if suffix not in kinds:
            raise InputError(f"{path}: expected {_FORMS}. Received: {suffix or 'no suffix'}")
        examples = [{"source": a, "target": b} for a, b in kinds[suffix](path, faults)]
    elif len(names) == 2:
        examples = _aligned(Path(names[0]), Path(names[1]), faults)
    else:
        raise InputError(f"{path}: {len(names)} files; expected {_FORMS}")
    if not examples:
        raise InputError(f"{path}: no usable pair in it; expected at least one text with its translation")
    return examples


def language_of(path: Path) -> str:
    """The language that a file's suffix names, ``a.de`` and ``a.de.gz``; empty where it is none.

    Example:

    >>> language_of(Path("test.de.gz")), language_of(Path("test.txt"))
    ('de', '')
    """
    suffix = _suffix(path)[1:]
    return suffix if len(suffix) == 2 and suffix.isalpha() else ""


class Translations(NamedTuple):
    """A dataset of TensorFlow Datasets, and from which of its languages to which one translates.

    Attributes:
        name: as TensorFlow Datasets calls it.
        source, target: its names of the two languages.
    """

    name: str
    source: str
    target: str


def chosen(variant: str, names: Mapping[str, str], *, module: str) -> Translations:
    """What a variant, such as ``"de-en"``, stands for.

    Args:
        variant: one of the names' keys, or one of them turned round.
        names: pair of languages -> the dataset's name.
        module: the dataset that has these variants, for the message.

    Raises:
        InputError: there is no such variant.
    """
    source, _, target = variant.partition("-")
    turned = f"{target}-{source}"
    if variant not in names and turned not in names:
        raise InputError(f"{module}:{variant}: unknown variant; {did_you_mean(variant, names)}")
    return Translations(names.get(variant) or names[turned], source, target)


def from_tfds(pair: Translations, *, splits: Sequence[str], origin: str, data_dir: Path | None) -> dict[str, list[Any]]:
    """The pairs of a dataset of TensorFlow Datasets by split, as `read` gives them, with ``"notes"``.

    Args:
        pair: the dataset.
        splits: those that it has; ours have the same names.
        origin, data_dir: see `suite.data.sources.tfds_parts`.
    """
    source, target = pair.source, pair.target
    _, items = sources.tfds_parts(pair.name, splits={s: s for s in splits}, origin=origin, data_dir=data_dir)
    parts: dict[str, list[Any]] = {"notes": []}
    for split in splits:
        parts[split] = []
        empty = 0
        for item in items[split]:
            example = {"source": _plain(item[source]), "target": _plain(item[target]), "language": target}
            if example["source"] and example["target"]:
                parts[split].append(example)
            else:
                empty += 1
        if empty:
            parts["notes"].append(f"{split}: {empty:,} pairs with an empty side left out")
    return parts


def _plain(value: Any) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _suffix(path: Path) -> str:
    """What a file is, whether packed or not."""
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()


def _aligned(first: Path, second: Path, faults: Faults) -> list[dict[str, str]]:
    sides = [list(_lines(path)) for path in (first, second)]
    if len(sides[0]) != len(sides[1]):
        raise InputError(
            f"{first} has {len(sides[0]):,} lines and {second} has {len(sides[1]):,}; "
            f"expected as many, each line of one the translation of the same line of the other"
        )
    language = language_of(second)
    return [
        {"source": a, "target": b} | ({"language": language} if language else {})
        for a, b in _pairs(zip(*sides, strict=True), faults)
    ]


def _pairs(lines: Iterator[tuple[_Line, _Line]], faults: Faults) -> Iterator[tuple[str, str]]:
    """Pairs of which both sides are texts; where one is none, that is a fault."""
    for sides in lines:
        texts = [side.text.strip() for side in sides]
        if not any(texts):
            continue
        problem = next((_problem(side.text) for side in sides if _problem(side.text)), "")
        at = next((side.place for side in sides if _problem(side.text)), "")
        if not problem and not all(texts):
            full, empty = (1, 0) if texts[1] else (0, 1)
            at, problem = sides[empty].place, f"empty, and {sides[full].place} is not; expected a text on both sides"
        if problem:
            faults.found(f"{at}: {problem}")
        else:
            yield texts[0], texts[1]


def _problem(text: str) -> str:
    """What makes a text unusable. Bytes that are no UTF-8 arrive here as lone surrogates, U+DC80 to U+DCFF."""
    if "\0" in text:
        return "a zero byte; expected text in UTF-8"
    wrong = next((character for character in text if "\ud800" <= character <= "\udfff"), None)
    if wrong is None:
        return ""
    what = f"byte 0x{ord(wrong) - 0xDC00:02x}" if "\udc80" <= wrong <= "\udcff" else f"U+{ord(wrong):04X}"
    return f"{what} is not UTF-8; convert the file to UTF-8"


def _lines(path: Path) -> Iterator[_Line]:
    """Lines with their places; what is not UTF-8 becomes lone surrogates."""
    data = _bytes(path).removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: a file in UTF-16; convert it to UTF-8")
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    for number, line in enumerate(lines, start=1):
        yield _Line(f"{path}:{number}", line.removesuffix(b"\r").decode("utf-8", "surrogateescape"))


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected {_FORMS}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {_FORMS}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file: {error}") from None


def _tsv(path: Path, faults: Faults) -> Iterator[tuple[str, str]]:
    rows = [(line, line.text.split("\t")) for line in _lines(path) if line.text.strip()]
    columns, width = (0, 1), 2
    if rows:
        names = [name.strip().lower() for name in rows[0][1]]
        found = [next((names.index(name) for name in wanted if name in names), None) for wanted in (SOURCES, TARGETS)]
        if None not in found and found[0] != found[1]:
            columns, width = (found[0], found[1]), len(names)  # type: ignore[assignment]
            rows = rows[1:]
        elif len(names) != 2:
            raise InputError(
                f"{rows[0][0].place}: {len(names)} fields and no names of columns; expected a text, a tab and its "
                f"translation, or a first line that names the columns {SOURCES[0]} and {TARGETS[0]}"
            )

    def pairs() -> Iterator[tuple[_Line, _Line]]:
        for line, fields in rows:
            if len(fields) == width:
                yield _Line(line.place, fields[columns[0]]), _Line(line.place, fields[columns[1]])
            else:
                faults.found(f"{line.place}: {len(fields)} fields; expected {width} in {_shown(line.text)}")

    yield from _pairs(pairs(), faults)


def _jsonl(path: Path, faults: Faults) -> Iterator[tuple[str, str]]:
    def pairs() -> Iterator[tuple[_Line, _Line]]:
        for line in _lines(path):
            if line.text.strip():
                try:
                    a, b = _entry(line.text)
                except ValueError as error:
                    faults.found(f"{line.place}: {error}")
                    continue
                yield _Line(line.place, a), _Line(line.place, b)

    yield from _pairs(pairs(), faults)


def _entry(text: str) -> tuple[str, str]:
    """The two texts of a JSON object; a ValueError says what is wrong."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}; received {_shown(text)}") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a JSON object; received {_shown(text)}")
    named = {str(name).strip().lower(): given for name, given in value.items()}
    texts = []
    for wanted in (SOURCES, TARGETS):
        name = next((name for name in wanted if name in named), None)
        if name is None:
            raise ValueError(
                f"no {wanted[0]}; found {', '.join(named) or 'nothing'}; expected one of {', '.join(wanted)}"
            )
        if not isinstance(named[name], str):
            raise ValueError(f"{name} is {_shown(named[name])}; expected a text")
        if not named[name].strip():
            raise ValueError(f"{name} is empty; expected a text")
        texts.append(named[name])
    return texts[0], texts[1]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
