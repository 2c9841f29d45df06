"""What tokenizers did is kept under a hash of all that it follows from, and nothing else is ever found there."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from suite.data import bpe, cache, subwords

TEXTS = ["the lowest tower", "is lower  than the highest", "", "ﬁne cafés \ud800 in 東京"]


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(cache, "LEAST", 0)
    return tmp_path / "kept"


class Made:
    """Counts how often it is asked."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"a": np.arange(3, dtype="int32"), "b": np.zeros((0, 2))}


def entries(folder):
    return sorted(path for path in folder.glob("*") if path.name != ".lock")


def test_what_was_made_is_found_again_as_it_was(folder):
    made = Made()
    first, second = (cache.remembered(made, TEXTS, settings="s", code=[]) for _ in range(2))
    assert made.times == 1
    assert list(second) == ["a", "b"]
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
        assert second[name].dtype == array.dtype
        assert second[name].flags.writeable


def test_anything_that_it_follows_from_makes_another_entry(folder, tmp_path, monkeypatch):
    code = tmp_path / "code.py"
    code.write_text("one", encoding="utf8")
    made = Made()
    wanted = [(TEXTS, "s"), (TEXTS, "t"), (TEXTS[:2], "s"), (["the lowest", " tower", *TEXTS[1:]], "s")]
    for texts, settings in wanted:
        cache.remembered(made, texts, settings=settings, code=[code])
    code.write_text("two", encoding="utf8")
    cache.remembered(made, TEXTS, settings="s", code=[code])
    monkeypatch.setattr(cache, "version", lambda name: "0")
    cache.remembered(made, TEXTS, settings="s", code=[code])
    assert made.times == len(entries(folder)) == 6


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:90] + b"!" + data[91:]]
)
def test_a_damaged_entry_is_made_anew(folder, damage):
    made = Made()
    cache.remembered(made, TEXTS, settings="s", code=[])
    (path,) = entries(folder)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    cache.remembered(made, TEXTS, settings="s", code=[])
    assert made.times == 2
    assert path.read_bytes()[:32] == whole[:32]


def test_one_entry_does_not_pass_for_another(folder):
    cache.remembered(lambda: {"a": np.zeros(1)}, TEXTS, settings="other", code=[])
    (other,) = entries(folder)
    made = Made()
    cache.remembered(made, TEXTS, settings="s", code=[])
    (path,) = set(entries(folder)) - {other}
    path.write_bytes(other.read_bytes())
    assert list(cache.remembered(made, TEXTS, settings="s", code=[])) == ["a", "b"]
    assert made.times == 2


def test_the_longest_unused_give_way_and_no_other_files(folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 2500)
    folder.mkdir()
    (folder / "mine.txt").write_text("x" * 5000, encoding="utf8")
    for number in range(3):
        cache.remembered(lambda: {"a": np.zeros(100)}, TEXTS, settings=str(number), code=[])  # about 1,100 bytes
        for path in entries(folder):  # clocks of file systems are coarse
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**10))
        if number == 1:
            cache.remembered(Made(), TEXTS, settings="0", code=[])  # used again
    made = Made()
    for number in (0, 2):
        cache.remembered(made, TEXTS, settings=str(number), code=[])
    assert made.times == 0
    assert len(entries(folder)) == 3
    cache.remembered(made, TEXTS, settings="1", code=[])
    assert made.times == 1


def test_little_text_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(cache, "LEAST", 1 + sum(map(len, TEXTS)))
    cache.remembered(Made(), TEXTS, settings="s", code=[])
    assert not folder.exists()


def test_it_can_be_switched_off_and_is_by_default_beside_downloads(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "LEAST", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SUITE_CACHE", "")
    cache.remembered(Made(), TEXTS, settings="s", code=[])
    assert not any(tmp_path.iterdir())
    monkeypatch.delenv("SUITE_CACHE")
    cache.remembered(Made(), TEXTS, settings="s", code=[])
    assert len(entries(tmp_path / "keras-task-suite" / "tokenized")) == 1


def test_where_nothing_can_be_written_nothing_is_kept(folder):
    folder.write_text("a file", encoding="utf8")
    made = Made()
    for _ in range(2):
        cache.remembered(made, TEXTS, settings="s", code=[])
    assert made.times == 2


def test_a_full_disk_leaves_no_half_of_an_entry(folder, monkeypatch):
    def write(path, content):
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    cache.remembered(Made(), TEXTS, settings="s", code=[])
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_tokenizers_and_texts_are_the_same_with_and_without(folder, monkeypatch):
    def all_of_them():
        known = subwords.Subwords(subwords.train(TEXTS[:3], size=60))
        pieces = bpe.Pieces(bpe.train(TEXTS, size=280))
        found = known.encode_many(TEXTS)
        return known.json, pieces.json, [*pieces.encode_many(TEXTS), *(each for both in found for each in both)]

    kept = [all_of_them() for _ in range(2)]
    assert len(entries(folder)) == 4
    monkeypatch.setitem(os.environ, "SUITE_CACHE", "")
    made = all_of_them()
    for found in kept:
        assert found[:2] == made[:2]
        for array, expected in zip(found[2], made[2], strict=True):
            np.testing.assert_array_equal(array, expected)
            assert array.dtype == expected.dtype
