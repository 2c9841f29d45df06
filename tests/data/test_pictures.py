"""Datasets of pictures: the embedded digits, an archive, and TensorFlow Datasets, each picture read when needed."""

from __future__ import annotations

import io
import os
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suite.data import sources
from suite.data.datasets import cifar10, digits, fashion_mnist, imagenette, mnist
from suite.data.lazy import light
from suite.data.splits import make_splits
from suite.errors import InputError

DATA = Path(os.environ.get("SUITE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
SIZES = {mnist: (28, 28, 1), fashion_mnist: (28, 28, 1), cifar10: (32, 32, 3)}
FROM_TFDS = [mnist, fashion_mnist, cifar10, imagenette]


@pytest.fixture(autouse=True)
def _no_other_source(monkeypatch, tmp_path):
    for name in ("SUITE_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sources, "reachable", lambda url: False)


def archive(folder, *, broken=(), extra=()):
    """A small archive as the real one is laid out: two pictures of each of two classes, in both splits."""
    path = folder / "cifar10.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for split in ("test", "train"):
            for label, grey in (("cat", 50), ("ship", 200)):
                for number in range(2):
                    name = f"{split}/{label}/{number:04}.jpg"
                    picture = io.BytesIO()
                    Image.new("RGB", (32, 32), (grey, grey, 10 * number)).save(picture, "JPEG")
                    content = picture.getvalue()[: 300 if name in broken else None]
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    file.addfile(entry, io.BytesIO(content))
        for name in extra:
            file.addfile(tarfile.TarInfo(name))
    return path


def test_digits_are_what_they_were_and_share_nothing():
    parts = digits.load()
    assert {split: len(parts[split]) for split in digits.SIZES} == digits.SIZES
    splits = make_splits(parts, name="digits")
    assert splits.fingerprint() == "f5f12ab7e9c72bc9"
    assert splits.notes == ()
    for split, examples in parts.items():
        counts = Counter(one["label"] for one in light(examples))
        assert sorted(counts) == list("0123456789")
        assert max(counts.values()) <= min(counts.values()) + 6, split
    numbers = [one["number"] for examples in parts.values() for one in light(examples)]
    assert sorted(numbers) == list(range(1797))
    one = parts["train"][0]
    assert one["pixels"].shape == (8, 8, 1)
    assert one["pixels"].dtype == np.uint8
    assert max(example["pixels"].max() for example in parts["test"]) == 255


def test_an_archive_is_read_by_split_and_class(tmp_path):
    archive(tmp_path, extra=["README"])
    assert cifar10.available(tmp_path)
    parts = cifar10.load(tmp_path)
    assert "is not the known file" in parts["notes"][0]
    assert [one["label"] for one in light(parts["train"])] == ["cat", "cat", "ship", "ship"]
    assert abs(int(parts["test"][2]["pixels"].mean()) - (200 + 200 + 0) // 3) < 3
    assert parts["test"][3]["pixels"].shape == (32, 32, 3)


def test_a_broken_picture_in_the_archive_is_named(tmp_path):
    archive(tmp_path, broken=["train/cat/0001.jpg"])
    with pytest.raises(InputError, match=r"cifar10.tar.gz: train/cat/0001.jpg: cannot be decoded"):
        cifar10.load(tmp_path)


def test_a_broken_archive_is_named(tmp_path):
    path = archive(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"cifar10.tar.gz: not the archive"):
        cifar10.load(tmp_path)


@pytest.mark.skipif(
    not (DATA / "image" / "cifar10.tar.gz").is_file(), reason="cifar10.tar.gz is not in the data folder"
)
def test_the_real_archive_is_found():
    assert all(cifar10.available(folder) for folder in (DATA, DATA / "image"))


@pytest.mark.parametrize("module", FROM_TFDS)
def test_pictures_from_tfds_stay_where_they_are(module, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(sources, "reachable", lambda url: True)
    with tfds.testing.mock_data(num_examples=7):
        parts = module.load(None)
        assert set(parts) - {"notes"} == {"train", "test"}
        for split in ("train", "test"):
            known, one = light(parts[split]), parts[split][3]
            assert len(known) == 7
            assert all("pixels" not in each for each in known)
            assert len({each["digest"] for each in known}) > 1
            assert one["pixels"].shape == tuple(one[key] for key in ("height", "width", "channels"))
            assert one["pixels"].shape == SIZES.get(module, one["pixels"].shape)
            assert not one["label"].startswith("n0")


@pytest.mark.parametrize("module", FROM_TFDS)
def test_without_files_and_network_it_says_where_data_may_be(module, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    assert not module.available(tmp_path)
    with pytest.raises(InputError, match=r"cannot be reached to fetch .*--data-dir"):
        module.load(tmp_path)


def test_an_unknown_size_of_imagenette():
    with pytest.raises(InputError, match="320px"):
        imagenette.load(None, "320")
