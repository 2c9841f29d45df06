"""CoNLL-2003: entities in English newswire, by way of TensorFlow Datasets.

    {"tokens": ["EU",    "rejects", "German", "call", "to", "boycott", "British", "lamb", "."],
     "tags":   ["B-ORG", "O",       "B-MISC", "O",    "O",  "O",       "B-MISC",  "O",    "O"]}

Four types: PER, ORG, LOC and MISC. Reuters news of August 1996; test is of December 1996.

Origin: TensorFlow Datasets, `conll2003`. Licence: Reuters' terms, for research.
Reference: Tjong Kim Sang and De Meulder, 2003, "Introduction to the CoNLL-2003 shared task: language-independent named
entity recognition", CoNLL 2003. Best of the shared task: entity F1 0.8876.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.data import conll, sources

SCHEMA = "tokens->tags"
DESCRIPTION = "English newswire of 1996, four types"
ORIGIN = "TensorFlow Datasets: conll2003"
LICENCE = "Reuters' terms, for research"
SIZES = {"train": 14041, "validation": 3250, "test": 3453}

_NAME = "conll2003"
_DOWNLOAD = "https://data.deepai.org/conll2003.zip"
_SPLITS = {"train": "train", "validation": "dev", "test": "test"}


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """The three splits, without the empty sentence that TensorFlow Datasets adds to each."""
    features, parts = sources.tfds_parts(_NAME, splits=_SPLITS, origin=_DOWNLOAD, data_dir=data_dir)
    names = features["ner"].feature.names
    return {split: [_example(item, names) for item in items if len(item["tokens"])] for split, items in parts.items()}


def _example(item: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    tokens = [token.decode() if isinstance(token, bytes) else str(token) for token in item["tokens"]]
    return {"tokens": tokens, "tags": conll.iob2(names[index] for index in item["ner"])}
