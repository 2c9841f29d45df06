"""Imagenette: photographs of ten classes of ImageNet that are easy to tell apart, of many sizes.

    {"pixels": [[[91, 104, 112], ...], ...], "label": "tench", "height": 320, "width": 426, "channels": 3}

Pictures have a shorter side of 320 pixels, or what the variant says, and are read from disk as they are needed. The
source's validation is test here, and validation is cut from train.

Origin: TensorFlow Datasets, `imagenette`; https://github.com/fastai/imagenette. Licence: Apache-2.0; the pictures are
those of ImageNet, for research and education.
Reference: Howard 2019, "Imagenette", https://github.com/fastai/imagenette.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import pictures, sources
from suite.errors import InputError, did_you_mean

SCHEMA = "pixels->label"
DESCRIPTION = "photographs of ten easy classes of ImageNet, of many sizes"
ORIGIN = "TensorFlow Datasets: imagenette"
LICENCE = "Apache-2.0; pictures of ImageNet"
SIZES = {"train": 9469, "test": 3925}
VARIANTS = "the pictures' shorter side: full-size, 320px (the default) or 160px"

_SIDES = ("full-size", "320px", "160px")
_DOWNLOAD = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz"
_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_name("320px"), data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "320px") -> dict[str, Any]:
    """Train and test.

    Args:
        data_dir: where it is prepared.
        variant: the pictures' size; see `VARIANTS`.
    """
    if variant not in _SIDES:
        raise InputError(f"imagenette:{variant}: {did_you_mean(variant, _SIDES)}")
    splits = {"train": "train", "test": "validation"}
    return {
        **pictures.load(_name(variant), splits=splits, origin=_DOWNLOAD, data_dir=data_dir, classes=_CLASSES),
        "notes": ["test is the source's validation"],
    }


def _name(variant: str) -> str:
    return f"imagenette/{variant}-v2"
