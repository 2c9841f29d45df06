"""Multi30k from files: both directions, changed files, no network."""

import gzip
import os
from pathlib import Path

import pytest

from suite.data import sources
from suite.data.datasets import multi30k
from suite.errors import InputError

SIZES = {"train": 3, "val": 2, "test_2016_flickr": 1}


@pytest.fixture(autouse=True)
def _no_other_source(monkeypatch, tmp_path):
    if "real" not in os.environ.get("PYTEST_CURRENT_TEST", ""):
        monkeypatch.delenv("SUITE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "reachable", lambda url, **_: False)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "data" / "translation" / "multi30k"
    folder.mkdir(parents=True)
    for stem, size in SIZES.items():
        for language in ("en", "de"):
            text = "".join(f"{stem} {language} {number}.\n" for number in range(size))
            (folder / f"{stem}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path / "data"


@pytest.mark.parametrize("below", ["", "translation", "translation/multi30k"])
@pytest.mark.parametrize(
    ("variant", "source", "target"), [("", "en", "de"), ("en-de", "en", "de"), ("de-en", "de", "en")]
)
def test_pairs_in_either_direction(files, below, variant, source, target):
    assert multi30k.available(files / below)
    parts = multi30k.load(files / below, variant)
    assert [len(parts[split]) for split in ("train", "validation", "test")] == list(SIZES.values())
    assert parts["validation"][1] == {"source": f"val {source} 1.", "target": f"val {target} 1.", "language": target}
    assert len(parts["notes"]) == 6
    assert "is not the published file (SHA-256" in parts["notes"][0]


def test_a_line_too_many_names_both_files(files):
    path = files / "translation" / "multi30k" / "val.de.gz"
    path.write_bytes(gzip.compress(b"one\n" * 3))
    with pytest.raises(InputError, match=r"val\.en\.gz has 2 lines and .*val\.de\.gz has 3"):
        multi30k.load(files)


def test_without_files_and_network_the_error_says_what_to_do(files):
    (files / "translation" / "multi30k" / "val.de.gz").unlink()
    assert not multi30k.available(files)
    with pytest.raises(InputError, match=r"https://github\.com/multi30k/.*val\.de\.gz cannot be reached .*--data-dir"):
        multi30k.load(files)


def test_unknown_variants_are_refused(files):
    with pytest.raises(InputError, match=r"multi30k:fr-en: unknown variant; expected en-de .* de-en"):
        multi30k.load(files, "fr-en")


def test_the_real_files_are_the_published_ones():
    folder = os.environ.get("SUITE_DATA") or Path(__file__).parents[3] / "shared" / "data"
    if not Path(folder).is_dir() or not multi30k.available(Path(folder)):
        pytest.skip("Multi30k is not on this machine: name its folder with SUITE_DATA")
    parts = multi30k.load(Path(folder))
    assert {split: len(parts[split]) for split in multi30k.SIZES} == multi30k.SIZES
    assert parts["notes"] == []
    assert parts["test"][0]["target"] == "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."
