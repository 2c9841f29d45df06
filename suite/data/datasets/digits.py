"""Handwritten digits: 1,797 pictures of 8 x 8 grey pixels, as scikit-learn has them.

    {"pixels": [[[0], [0], [80], [207], ...], ...], "label": "0", "height": 8, "width": 8, "channels": 1}

They are real: 43 people wrote them for the UCI repository, 13 of them these. The source has no splits and does not say
who wrote which, so the same hands are in all three; they are cut here by a fixed seed, each class evenly.

Origin: scikit-learn, `load_digits`; https://archive.ics.uci.edu/dataset/80. Licence: CC BY 4.0.
Reference: Alpaydin and Kaynak 1998, "Cascading classifiers", Kybernetika 34 (4).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from suite.data import image
from suite.data.lazy import take
from suite.task import Example

SCHEMA = "pixels->label"
DESCRIPTION = "handwritten digits, 8 x 8 grey pixels, real"
ORIGIN = "scikit-learn: load_digits"
LICENCE = "CC BY 4.0"
SIZES = {"train": 1097, "validation": 300, "test": 400}

_SEED = 1998


def available(data_dir: Path | None = None) -> bool:
    """Always: scikit-learn brings them along."""
    return True


def load(data_dir: Path | None = None) -> dict[str, Sequence[Example]]:
    """The three splits. `data_dir` is not used."""
    from sklearn.datasets import load_digits

    pictures, numbers = load_digits(return_X_y=True)
    pixels = np.round(pictures.reshape(-1, 8, 8, 1) * (255 / 16)).astype("uint8")
    examples = image.in_memory([str(number) for number in numbers], pixels)
    # Of all of Python's random methods, random() alone is promised to give the same numbers in every version.
    generator = random.Random(_SEED)
    drawn = np.array([generator.random() for _ in numbers])
    place = np.empty(len(numbers))  # each class by chance over 0 to 1, so that any stretch has about as many of each
    for number in set(numbers):
        members = np.flatnonzero(numbers == number)
        place[members] = (np.argsort(np.argsort(drawn[members])) + drawn[members]) / len(members)
    order = np.argsort(place)
    ends = np.cumsum(list(SIZES.values()))
    return {
        split: take(examples, sorted(map(int, part)))
        for split, part in zip(SIZES, np.split(order, ends[:-1]), strict=True)
    }
