"""CIFAR-10: small colour photographs of ten classes, 32 x 32 pixels.

    {"pixels": [[[59, 62, 63], ...], ...], "label": "frog", "height": 32, "width": 32, "channels": 3}

Every class is as frequent. The source has no validation. From the archive of JPEG files pictures are a little different
from the original ones, and so may scores be.

Origin: an archive `cifar10.tar.gz` of `train/<class>/<number>.jpg` and `test/<class>/<number>.jpg`; else TensorFlow
Datasets, `cifar10`. Licence: none stated; cite the reference.
Reference: Krizhevsky 2009, "Learning multiple layers of features from tiny images", section 3,
https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from suite.data import image, pictures, sources
from suite.errors import InputError

SCHEMA = "pixels->label"
DESCRIPTION = "small photographs of ten classes, 32 x 32 pixels"
ORIGIN = "an archive of the user's own, or TensorFlow Datasets: cifar10"
LICENCE = "none stated; cite Krizhevsky 2009"
SIZES = {"train": 50000, "test": 10000}

_NAME = "cifar10"
_DOWNLOAD = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_FOLDER = "image"
_FILE = "cifar10.tar.gz"
_CHECKSUM = "0bfcb68717a0ecb0d51ed61034906a773d48d424d94b766a46d7d1c55702a4d9"
_PICTURE = re.compile(r"(?:.*/)?(train|test)/([^/]+)/[^/]+\.jpe?g")


def available(data_dir: Path | None = None) -> bool:
    """Whether the archive is on this machine, or TensorFlow Datasets has it prepared."""
    return _archive(data_dir) is not None or sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, Any]:
    """Train and test: from the archive, all of it in memory (180 MB), else by TensorFlow Datasets."""
    path = _archive(data_dir)
    if path is None:
        return dict(
            pictures.load(_NAME, splits={"train": "train", "test": "test"}, origin=_DOWNLOAD, data_dir=data_dir)
        )
    found: dict[str, tuple[list[str], list[np.ndarray]]] = {split: ([], []) for split in SIZES}
    for split, label, pixels in _from_archive(path):
        labels, arrays = found[split]
        labels.append(label)
        arrays.append(pixels)
    parts: dict[str, Any] = {split: image.in_memory(*columns) for split, columns in found.items()}
    if (checksum := sources.sha256(path)) != _CHECKSUM:
        parts["notes"] = [f"{path} is not the known file (SHA-256 {checksum[:12]}...)"]
    return parts


def _archive(data_dir: Path | None) -> Path | None:
    return sources.find_file((_FILE,), data_dir=data_dir, subfolder=_FOLDER)


def _from_archive(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Split, label and pixels of each picture."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                match = _PICTURE.fullmatch(member.name)
                file = archive.extractfile(member) if match else None
                if match and file is not None:
                    yield match[1], match[2], image.decode(file.read(), f"{path}: {member.name}")
    except (OSError, EOFError, tarfile.TarError) as error:
        expected = "expected train/<class>/<number>.jpg and test/<class>/<number>.jpg"
        raise InputError(f"{path}: not the archive of pictures: {error}; {expected}") from error
