"""What tokenizers learned and how they cut texts, kept from run to run under a hash of all that it follows from.

The folder is the one that SUITE_CACHE names, by default `tokenized` in the folder of downloads; with an empty
SUITE_CACHE nothing is kept or read. An entry's name is the hash of the texts, the settings, the code that cut them and
the versions of what it used, so nothing that is out of date is ever found; and an entry holds a checksum, so a damaged
one is made anew. All entries together take `LIMIT` at most: those that were not used for longest give way.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from suite.data.sources import data_home

LEAST = 200_000  # characters; what takes no tenth of a second is not kept
LIMIT = 2 << 30  # bytes

Arrays = Mapping[str, np.ndarray]


def remembered(make: Callable[[], Arrays], texts: Sequence[str], *, settings: str, code: Sequence[str]) -> Arrays:
    """What `make` gives, or gave when it was asked for the same before.

    Args:
        make: arrays by name, which follow from everything below alone.
        texts: of fewer than `LEAST` characters altogether nothing is kept.
        settings: all else that `make` reads.
        code: the files of Python that it runs.
    """
    folder = _folder() if sum(map(len, texts)) >= LEAST else None
    if folder is None:
        return make()
    path = folder / f"texts-{_key(texts, settings, code)}"
    arrays = _read(path)
    if arrays is None:
        arrays = make()
        with suppress(OSError):  # a full or read-only disk: the next run makes it anew
            _write(path, arrays)
    return arrays


def remembered_text(make: Callable[[], str], texts: Sequence[str], *, settings: str, code: Sequence[str]) -> str:
    """As `remembered`, of a text."""
    made = remembered(lambda: {"text": np.frombuffer(make().encode(), "uint8")}, texts, settings=settings, code=code)
    return made["text"].tobytes().decode()


def _folder() -> Path | None:
    named = os.environ.get("SUITE_CACHE")
    if named is not None:
        return Path(named) if named else None
    try:
        return data_home() / "tokenized"
    except RuntimeError:  # no home
        return None


def _key(texts: Sequence[str], settings: str, code: Sequence[str]) -> str:
    digest = hashlib.sha256()
    parts = [settings.encode("utf-8", "surrogatepass"), *(Path(file).read_bytes() for file in (*code, __file__))]
    parts += [name.encode() for name in (version("tokenizers"), version("numpy"), platform.python_version())]
    parts += [np.array([len(text) for text in texts], dtype="int64").tobytes()]
    parts += ["".join(texts).encode("utf-8", "surrogatepass")]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _sum(path: Path, payload: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + payload).digest()


def _read(path: Path) -> Arrays | None:
    try:
        content = path.read_bytes()
        os.utime(path)  # used now
    except OSError:
        return None
    kept, payload = content[:32], content[32:]
    if kept != _sum(path, payload):
        return None
    with np.load(io.BytesIO(payload), allow_pickle=False) as file:
        return dict(file)


def _write(path: Path, arrays: Arrays) -> None:
    from filelock import FileLock

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    payload = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock", timeout=60):
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # which a full disk leaves nothing of
            whole = Path(folder) / path.name
            whole.write_bytes(_sum(path, payload) + payload)
            whole.replace(path)
        _make_room(path.parent)


def _make_room(folder: Path) -> None:
    files = sorted(((file.stat(), file) for file in folder.glob("texts-*")), key=lambda each: each[0].st_mtime_ns)
    size = sum(state.st_size for state, _ in files)
    for state, file in files:
        if size <= LIMIT:
            break
        file.unlink(missing_ok=True)
        size -= state.st_size
