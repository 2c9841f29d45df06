"""Fashion-MNIST: articles of clothing, 28 x 28 grey pixels.

    {"pixels": [[[0], [0], ...], ...], "label": "Ankle boot", "height": 28, "width": 28, "channels": 1}

Ten classes, each as frequent, of the size and form of MNIST and harder. The source has no validation.

Origin: TensorFlow Datasets, `fashion_mnist`. Licence: MIT.
Reference: Xiao, Rasul and Vollgraf 2017, "Fashion-MNIST", https://arxiv.org/abs/1708.07747.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import pictures, sources

SCHEMA = "pixels->label"
DESCRIPTION = "articles of clothing, 28 x 28 grey pixels"
ORIGIN = "TensorFlow Datasets: fashion_mnist"
LICENCE = "MIT"
SIZES = {"train": 60000, "test": 10000}

_NAME = "fashion_mnist"
_DOWNLOAD = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, Any]:
    """Train and test."""
    splits = {"train": "train", "test": "test"}
    return {**pictures.load(_NAME, splits=splits, origin=_DOWNLOAD, data_dir=data_dir)}
