"""MNIST: handwritten digits, 28 x 28 grey pixels.

    {"pixels": [[[0], [0], ...], ...], "label": "5", "height": 28, "width": 28, "channels": 1}

The source has no validation. Nobody who wrote for test also wrote for train.

Origin: TensorFlow Datasets, `mnist`. Licence: none stated; cite the reference.
Reference: LeCun et al. 1998, "Gradient-based learning applied to document recognition", Proceedings of the
IEEE 86 (11).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import pictures, sources

SCHEMA = "pixels->label"
DESCRIPTION = "handwritten digits, 28 x 28 grey pixels"
ORIGIN = "TensorFlow Datasets: mnist"
LICENCE = "none stated; cite the reference"
SIZES = {"train": 60000, "test": 10000}

_NAME = "mnist"
_DOWNLOAD = "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, Any]:
    """Train and test."""
    splits = {"train": "train", "test": "test"}
    return {**pictures.load(_NAME, splits=splits, origin=_DOWNLOAD, data_dir=data_dir)}
