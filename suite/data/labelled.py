"""Texts with labels from TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.data import sources


def load(
    name: str,
    *,
    texts: tuple[str, ...],
    splits: Mapping[str, str],
    origin: str,
    data_dir: Path | None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, list[Any]]:
    """The examples of a dataset as ``{"text": ..., "label": ...}``, by split; labels by their names.

    Args:
        name: as TensorFlow Datasets calls it.
        texts: the features that make the text, put together with a blank.
        splits, origin, data_dir: see `suite.data.sources.tfds_parts`.
        labels: their name of a class -> ours, where it is another.
    """
    features, parts = sources.tfds_parts(name, splits=splits, origin=origin, data_dir=data_dir)
    names = [(labels or {}).get(label, label) for label in features["label"].names]
    return {
        split: [
            {"text": " ".join(_decoded(item[text]) for text in texts), "label": names[int(item["label"])]}
            for item in items
        ]
        for split, items in parts.items()
    }


def _decoded(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
