"""AG's News: headline and first lines of a news story and its topic, by way of TensorFlow Datasets.

    {"text": "Wall St. Bears Claw Back Into the Black (Reuters) Reuters - Short-sellers, ...", "label": "Business"}

Four topics, each as frequent: World, Sports, Business, Sci/Tech. The source has no validation.

Origin: TensorFlow Datasets, `ag_news_subset`. Licence: for research and other non-commercial use.
Reference: Zhang, Zhao and LeCun 2015, "Character-level convolutional networks for text classification",
https://arxiv.org/abs/1509.01626; accuracy 0.9236 with n-grams and TF-IDF.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import labelled, sources

SCHEMA = "text->label"
DESCRIPTION = "news stories by topic: World, Sports, Business, Sci/Tech"
ORIGIN = "TensorFlow Datasets: ag_news_subset"
LICENCE = "for research and other non-commercial use"
SIZES = {"train": 120000, "test": 7600}

_NAME = "ag_news_subset"
_DOWNLOAD = "https://drive.google.com/uc?export=download&id=0Bz8a_Dbh9QhbUDNpeUdjb0wxRms"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, list[Any]]:
    """Train and test; a text is the headline and what follows."""
    splits = {"train": "train", "test": "test"}
    return labelled.load(_NAME, texts=("title", "description"), splits=splits, origin=_DOWNLOAD, data_dir=data_dir)
