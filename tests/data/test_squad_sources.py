"""SQuAD and XQuAD from files and from TensorFlow Datasets, whose features are real and whose examples are made up."""

import json

import numpy as np
import pytest

from suite.data import sources
from suite.data.datasets import squad, xquad
from suite.data.splits import make_splits
from suite.errors import InputError

CONTEXT = "Die 308 Punkte 😀 von 東京."


@pytest.fixture(autouse=True)
def _no_other_source(monkeypatch, tmp_path):
    for name in ("SUITE_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sources, "reachable", lambda url, **_: False)


def entry(identity, text, **more):
    answers = [{"text": text, "answer_start": CONTEXT.index(text)}] if text else []
    return {"id": identity, "question": "Was?", "answers": answers, **more}


def write(path, articles):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = [{"title": title, "paragraphs": [{"context": CONTEXT, "qas": qas}]} for title, qas in articles.items()]
    path.write_text(json.dumps({"version": "1.1", "data": data}), encoding="utf-8")


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "qa" / "squad"
    train = {f"Title {number}": [entry(f"{number}-{i}", "308") for i in range(3)] for number in range(40)}
    write(folder / "train-v1.1.json", train)
    write(folder / "dev-v1.1.json", {"Other": [entry("a", "東京"), entry("b", "308") | {"question": ""}]})
    return tmp_path


@pytest.mark.parametrize("below", ["", "qa", "qa/squad"])
def test_squad_from_files_with_validation_by_whole_articles(files, below):
    folder = files / below
    assert squad.available(folder)
    parts = squad.load(folder)
    titles = {split: {example["title"] for example in parts[split]} for split in ("train", "validation", "test")}
    assert len(titles["train"]) + len(titles["validation"]) == 40
    assert titles["validation"]
    assert not titles["train"] & titles["validation"]
    assert all(len([e for e in parts["validation"] if e["title"] == title]) == 3 for title in titles["validation"])
    [test] = parts["test"]
    assert test["answers"] == [{"text": "東京", "start": 21}]
    assert "train-v1.1.json is not the published file" in parts["notes"][0]
    assert "test: 1 left out that could not be used" in parts["notes"][2]
    assert f"validation: {len(titles['validation'])} whole articles of train" in parts["notes"]
    assert make_splits(parts, name="squad").validation == parts["validation"]


def test_the_second_version_has_files_of_its_own(files):
    with pytest.raises(InputError, match=r"train-v2\.0\.json cannot be reached to fetch train-v2\.0\.json.*--data-dir"):
        squad.load(files, "v2.0")
    write(files / "train-v2.0.json", {"A": [entry("a", "", is_impossible=True), entry("b", "308")]})
    write(files / "dev-v2.0.json", {"A": [entry("a", "", is_impossible=True)]})
    parts = squad.load(files, "v2.0")
    assert [len(example["answers"]) for example in parts["train"] + parts["test"]] == [0, 1, 0]
    assert "validation" not in parts  # one article cannot be cut


def test_xquad_is_test_alone(tmp_path):
    write(tmp_path / "xquad.de.json", {"": [entry("a", "308")]})
    assert not xquad.available(tmp_path)
    parts = xquad.load(tmp_path, "de")
    assert list(parts) == ["notes", "test"]
    with pytest.raises(InputError, match="no training examples"):
        make_splits(parts, name="xquad:de")
    own = make_splits({**parts, "train": parts["test"] * 3}, name="xquad:de with own train")
    assert len(own.train) == 2


def test_unknown_variants_are_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"squad:v3: unknown variant; expected v1\.1 .* v2\.0"):
        squad.load(None, "v3")
    with pytest.raises(InputError, match=r"xquad:fr: unknown language; .*ar.*zh"):
        xquad.load(None, "fr")


def test_without_files_and_network_the_error_says_what_to_do():
    for module in (squad, xquad):
        assert not module.available(None)
        with pytest.raises(InputError, match=r"https://.* cannot be reached .*--data-dir"):
            module.load(None)


def item(identity, text, start=None, **more):
    starts = [CONTEXT.index(text) if start is None else start] if text else []
    return {
        "id": identity.encode(),
        "title": b"T",
        "context": CONTEXT.encode(),
        "question": "Wo? 東京".encode(),
        "answers": {
            "text": np.array([text.encode()] if text else [], object),
            "answer_start": np.array(starts, "int32"),
        },
        **more,
    }


@pytest.mark.parametrize("version", ["v1.1", "v2.0"])
def test_tensorflow_datasets_gives_the_same_examples(version, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(sources, "reachable", lambda url, **_: True)
    monkeypatch.setattr(sources, "tfds_prepared", lambda name, *, data_dir: name == f"squad/{version}")
    items = [item("a", "東京"), item("b", "308", start=5)]
    if version == "v2.0":
        items = [each | {"is_impossible": np.bool_(False)} for each in items]
        items.append(item("c", "", is_impossible=np.bool_(True)))
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: items):
        parts = squad.load(None, version)
    first, *others = parts["test"]
    assert first == {
        "id": "a",
        "title": "T",
        "context": CONTEXT,
        "question": "Wo? 東京",
        "answers": [{"text": "東京", "start": 21}],
    }
    assert [example["id"] for example in others] == (["c"] if version == "v2.0" else [])
    assert "question b: the answer '308' does not occur at character 5" in parts["notes"][0]


def test_xquad_by_tensorflow_datasets(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(sources, "reachable", lambda url, **_: True)
    monkeypatch.setattr(sources, "tfds_prepared", lambda name, *, data_dir: name == "xquad/th")
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: [item("a", "東京")]):
        features = tfds.builder("xquad/th").info.features
        parts = xquad.load(None, "th")
    assert set(item("a", "東京")) == set(features)
    assert set(features["answers"].feature) == {"text", "answer_start"}
    assert [example["id"] for example in parts["test"]] == ["a"]
    assert parts["notes"] == []
