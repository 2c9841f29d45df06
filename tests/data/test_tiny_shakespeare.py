"""Tiny Shakespeare and the sentences of lm1b, from files and from TensorFlow Datasets."""

import os
from pathlib import Path

import pytest

from suite.data import prose, sources
from suite.data.datasets import lm1b, tiny_shakespeare
from suite.errors import InputError

TEXT = "".join(f"Speaker {number}:\nWords, words, words.\n\n" for number in range(800))


def joined(examples):
    return "".join(example["text"] for example in examples)


def known_file():
    beside = Path(__file__).parents[3] / "shared" / "data"
    for folder in (os.environ.get("SUITE_DATA"), beside):
        path = Path(folder or "-") / "tfds_manual" / "input.txt"
        if path.is_file():
            return path.parent
    pytest.skip("Tiny Shakespeare's input.txt is not here; SUITE_DATA names the folder with tfds_manual/input.txt")


@pytest.fixture
def nothing_else(monkeypatch, tmp_path):
    for name in ("SUITE_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sources, "reachable", lambda url, **_: False)


def test_the_known_text_is_cut_as_everybody_cuts_it():
    folder = known_file()
    parts = tiny_shakespeare.load(folder)
    text = (folder / "input.txt").read_text()
    assert joined(parts["test"]) == text[1_003_854:]
    assert len(joined(parts["test"])) == 111_540
    assert joined(parts["validation"]) + joined(parts["train"]) == text[:1_003_854]
    assert len(parts["notes"]) == 1
    assert {split: len(parts[split]) for split in tiny_shakespeare.SIZES} == tiny_shakespeare.SIZES
    other = tiny_shakespeare.load(folder, "nanogpt")
    assert joined(other["test"]) == text[1_003_854:]
    assert len(joined(other["train"])) == 993_854


def test_another_text_of_that_name_is_cut_alike_and_pointed_out(tmp_path, nothing_else):
    (tmp_path / "input.txt").write_text(TEXT)
    parts = tiny_shakespeare.load(tmp_path)
    assert joined(parts["validation"]) + joined(parts["train"]) + joined(parts["test"]) == TEXT
    assert len(joined(parts["test"])) == len(TEXT) - int(0.9 * len(TEXT))
    assert f"not the known text of 1,115,394 characters, but {len(TEXT):,}" in parts["notes"][0]
    for split in ("train", "validation", "test"):
        assert all(prose.follows(*pair) for pair in zip(parts[split], parts[split][1:], strict=False))


def test_unknown_variants_and_absent_data_are_refused(nothing_else):
    with pytest.raises(InputError, match=r"tiny_shakespeare:gpt: unknown variant; expected nanogpt"):
        tiny_shakespeare.load(None, "gpt")
    for variant in ("few", "0", "-3"):
        with pytest.raises(InputError, match=rf"lm1b:{variant}: unknown variant; expected how many sentences"):
            lm1b.load(None, variant)
    for module in (tiny_shakespeare, lm1b):
        assert not module.available(None)
        with pytest.raises(InputError, match=r"https://.* cannot be reached .*--data-dir"):
            module.load(None)


def test_tensorflow_datasets_gives_the_same_text(monkeypatch, nothing_else):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(sources, "reachable", lambda url, **_: True)
    monkeypatch.setattr(sources, "tfds_prepared", lambda name, *, data_dir: name == "tiny_shakespeare")
    cut = {"train": TEXT[:9000], "validation": TEXT[9000:9900], "test": TEXT[9900:]}
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: [{"text": cut[split].encode()}]):
        assert set(tfds.builder("tiny_shakespeare").info.features) == {"text"}
        parts = tiny_shakespeare.load(None)
    assert joined(parts["validation"]) + joined(parts["train"]) + joined(parts["test"]) == TEXT


def test_sentences_of_lm1b_are_texts_of_their_own(monkeypatch, nothing_else):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(sources, "reachable", lambda url, **_: True)
    items = [{"text": f"Sentence {number} aus Zürich .".encode()} for number in range(9)]
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: items):
        assert set(tfds.builder("lm1b").info.features) == {"text"}
        parts = lm1b.load(None, "4")
        whole = lm1b.load(None, "all")
    assert [example["text"] for example in parts["train"]] == [f"Sentence {n} aus Zürich ." for n in range(4)]
    assert parts["notes"] == ["the first 4 of 9 sentences of train, the first 9 of 9 sentences of test"]
    assert len(whole["train"]) == len(whole["test"]) == 9
