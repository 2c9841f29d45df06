"""Pictures with labels from TensorFlow Datasets. Their files stay on disk, and each is decoded when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.data import image, sources
from suite.data.lazy import Lazy


def load(
    name: str,
    *,
    splits: Mapping[str, str],
    origin: str,
    data_dir: Path | None,
    classes: Mapping[str, str] | None = None,
) -> dict[str, Lazy]:
    """The examples of a dataset by split, as `suite.data.image` has them; each is looked at once for its size.

    Args:
        name: as TensorFlow Datasets calls it.
        splits, origin, data_dir: see `suite.data.sources.tfds_parts`.
        classes: the dataset's names of classes -> better ones.
    """
    features, parts = sources.tfds_parts(name, splits=splits, origin=origin, data_dir=data_dir, encoded=("image",))
    names = [(classes or {}).get(label, label) for label in features["label"].names]
    loaded = {}
    for split, items in parts.items():
        light = [_light(number, item, names) for number, item in enumerate(items)]
        loaded[split] = Lazy(light, _Loader(items, name))
    return loaded


class _Loader:
    """A light example -> the whole one, by its place in the source."""

    def __init__(self, items: Sequence[Mapping[str, Any]], name: str):
        self.items = items
        self.name = name

    def __call__(self, light: Mapping[str, Any]) -> dict[str, Any]:
        content = bytes(self.items[light["number"]]["image"])
        return {**light, "pixels": image.decode(content, f"{self.name} {light['number']}")}


def _light(number: int, item: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    content = bytes(item["image"])
    return {
        "number": number,
        "label": names[int(item["label"])],
        "digest": hashlib.sha256(content).hexdigest()[:16],
        **image.sizes(content, f"picture {number}"),
    }
