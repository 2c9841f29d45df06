"""IMDB: long film reviews, positive or negative, by way of TensorFlow Datasets.

    {"text": "This was an absolutely terrible movie. Don't be lured in by ...", "label": "negative"}

Reviews of 4 points of 10 and less are negative, of 7 and more positive; no film has more than 30. Train and test have
other films. The source has no validation.

Origin: TensorFlow Datasets, `imdb_reviews`. Licence: none stated; cite the paper.
Reference: Maas et al. 2011, "Learning word vectors for sentiment analysis", ACL 2011; accuracy 0.8889.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import labelled, sources

SCHEMA = "text->label"
DESCRIPTION = "long film reviews, negative or positive"
ORIGIN = "TensorFlow Datasets: imdb_reviews"
LICENCE = "none stated; cite Maas et al. 2011"
SIZES = {"train": 25000, "test": 25000}

_NAME = "imdb_reviews/plain_text"
_DOWNLOAD = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_CLASSES = {"neg": "negative", "pos": "positive"}  # as in the other reviews, so that one model is scored on all


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, list[Any]]:
    """Train and test."""
    return labelled.load(
        _NAME,
        texts=("text",),
        splits={"train": "train", "test": "test"},
        origin=_DOWNLOAD,
        data_dir=data_dir,
        labels=_CLASSES,
    )
