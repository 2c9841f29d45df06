"""Texts with labels from files and from TensorFlow Datasets, whose features are real and whose examples are made up."""

import os
import shutil
from pathlib import Path

import pytest

from suite.data import sources
from suite.data.datasets import ag_news_subset, imdb_reviews, sst2
from suite.data.splits import make_splits
from suite.errors import InputError

DATA = Path(os.environ.get("SUITE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (DATA / "sentiment" / "sst2").is_dir(), reason="SST-2 is not below SUITE_DATA or ../shared/data"
)
MODULES = [ag_news_subset, imdb_reviews, sst2]


@pytest.fixture(autouse=True)
def _no_other_source(monkeypatch, tmp_path):
    for name in ("SUITE_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sources, "reachable", lambda url: False)


@pytest.fixture
def mocked(monkeypatch):
    """Lets TensorFlow Datasets have these examples, prepared."""
    tfds = pytest.importorskip("tensorflow_datasets")

    def mock(items):
        monkeypatch.setattr(sources, "reachable", lambda url: True)
        return tfds.testing.mock_data(as_data_source_fn=lambda self, split: items[split])

    return mock


@needs_data
@pytest.mark.parametrize("folder", [DATA / "sentiment" / "sst2", DATA / "sentiment", DATA])
def test_the_files_of_sst2(folder):
    assert sst2.available(folder)
    parts = sst2.load(folder)
    assert parts.pop("notes") == []
    assert {split: len(examples) for split, examples in parts.items()} == sst2.SIZES
    assert parts["train"][0] == {"text": "when are bears bears and ", "label": "positive"}
    assert sum(example["label"] == "positive" for example in parts["test"]) == 444


def test_changed_files_of_sst2_are_read_with_a_note(tmp_path):
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / name).write_text("sentence\tlabel\ngood\t1\nso so\t2\n", encoding="utf-8")
    parts = sst2.load(tmp_path)
    assert parts["test"] == [{"text": "good", "label": "positive"}, {"text": "so so", "label": "2"}]
    assert len(parts["notes"]) == 3
    assert "dev.tsv is not the known file" in parts["notes"][1]


@needs_data
def test_sst2_with_a_file_missing_comes_from_tfds_and_says_so_without_a_network(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    shutil.copy(DATA / "sentiment" / "sst2" / "test.tsv", tmp_path)
    assert not sst2.available(tmp_path)
    with pytest.raises(InputError, match=r"glue is not prepared, and https://.*--data-dir"):
        sst2.load(tmp_path)


def test_sst2_from_tfds(mocked):
    items = {
        "train": [{"sentence": f"phrase {n}".encode(), "label": n % 2, "idx": n} for n in range(20)],
        "validation": [{"sentence": b"caf\xc3\xa9 , fine", "label": 1, "idx": 0}],
    }
    with mocked(items):
        parts = sst2.load()
    assert parts["train"][1] == {"text": "phrase 1", "label": "positive"}
    assert parts["test"] == [{"text": "café , fine", "label": "positive"}]
    splits = make_splits(parts, name="sst2")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 2, 1)
    assert splits.notes[0] == "test is GLUE's validation split, whose test has no public labels"


def test_imdb_from_tfds(mocked):
    items = {"train": [{"text": b"no", "label": 0}], "test": [{"text": b"yes", "label": 1}]}
    with mocked(items):
        parts = imdb_reviews.load()
    assert parts == {"train": [{"text": "no", "label": "negative"}], "test": [{"text": "yes", "label": "positive"}]}


def test_ag_news_from_tfds_is_title_and_description(mocked):
    items = [{"title": b"Cup final", "description": b"They won.", "label": number} for number in range(4)]
    with mocked({"train": items, "test": items[:1]}):
        parts = ag_news_subset.load()
    assert [each["label"] for each in parts["train"]] == ["World", "Sports", "Business", "Sci/Tech"]
    assert parts["test"] == [{"text": "Cup final They won.", "label": "World"}]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_what_every_dataset_says_of_itself(module):
    assert module.SCHEMA == "text->label"
    assert not module.available()
    assert all((module.DESCRIPTION, module.ORIGIN, module.LICENCE, module.SIZES))
