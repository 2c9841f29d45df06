"""WNUT 2017 from files on this machine."""

import os
import shutil
from pathlib import Path

import pytest

from suite.data import sources
from suite.data.datasets import wnut17
from suite.errors import InputError

DATA = Path(os.environ.get("SUITE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (DATA / "ner" / "wnut17").is_dir(), reason="WNUT 2017 is not below SUITE_DATA or ../shared/data"
)


@pytest.fixture(autouse=True)
def _no_other_source(monkeypatch, tmp_path):
    monkeypatch.delenv("SUITE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "reachable", lambda url, *, timeout: False)


@needs_data
@pytest.mark.parametrize("folder", [DATA / "ner" / "wnut17", DATA / "ner", DATA])
def test_published_files(folder):
    assert wnut17.available(folder)
    parts = wnut17.load(folder)
    assert parts.pop("notes") == []
    assert {split: len(examples) for split, examples in parts.items()} == wnut17.SIZES
    assert parts["train"][0]["tokens"][:3] == ["@paulwalk", "It", "'s"]
    assert sum(tag[0] == "B" for example in parts["test"] for tag in example["tags"]) == 1079


def test_changed_files_under_their_original_names_are_read_with_a_note(tmp_path):
    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"):
        (tmp_path / name).write_text("a\tB-person\n", encoding="utf-8")
    parts = wnut17.load(tmp_path)
    assert parts["test"] == [{"tokens": ["a"], "tags": ["B-person"]}]
    assert len(parts["notes"]) == 3
    assert "train: " in parts["notes"][0]
    assert "wnut17train.conll is not the published file" in parts["notes"][0]


@needs_data
def test_a_missing_file_is_an_error_without_a_network(tmp_path):
    shutil.copy(DATA / "ner" / "wnut17" / "train.conll", tmp_path)
    assert not wnut17.available(tmp_path)
    with pytest.raises(InputError, match=r"emerging\.dev\.conll cannot be reached to fetch dev\.conll.*--data-dir"):
        wnut17.load(tmp_path)
