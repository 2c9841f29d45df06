"""Speech Commands: ten words, silence and everything else, from thousands of speakers, by way of TensorFlow Datasets.

    {"waveform": [0.0, ...], "rate": 16000, "label": "yes"}

Clips of at most a second. Validation and test have speakers that train has not. Most of train and validation is
``_unknown_``, which is 25 other words; in test all twelve classes are about as large.

Origin: TensorFlow Datasets, `speech_commands`, version 0.02 of the data. Licence: CC BY 4.0.
Reference: Warden 2018, "Speech Commands: a dataset for limited-vocabulary speech recognition",
https://arxiv.org/abs/1804.03209. Its baseline: accuracy 0.882.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.data import sources
from suite.data.lazy import Lazy

SCHEMA = "waveform->label"
DESCRIPTION = "ten spoken commands, silence and other words, 16 kHz"
ORIGIN = "TensorFlow Datasets: speech_commands"
LICENCE = "CC BY 4.0"
SIZES = {"train": 85511, "validation": 10102, "test": 4890}

_NAME = "speech_commands"
_DOWNLOAD = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
_SPLITS = {"train": "train", "validation": "validation", "test": "test"}
_RATE = 16_000


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, Any]:
    """The three splits. Sounds stay on disk; each is looked at once here, for its label and length.

    TensorFlow Datasets needs the package pydub to prepare this dataset; what it has prepared is read without.
    """
    features, parts = sources.tfds_parts(_NAME, splits=_SPLITS, origin=_DOWNLOAD, data_dir=data_dir)
    names = features["label"].names
    loaded: dict[str, Any] = {}
    empty = 0
    for split, items in parts.items():
        light = [_light(index, item, names) for index, item in enumerate(items)]
        kept = [one for one in light if one["samples"]]
        empty += len(light) - len(kept)
        loaded[split] = Lazy(kept, _Loader(items))
    return {**loaded, "notes": [f"clips without a sample, left out: {empty:,}"] if empty else []}


class _Loader:
    """A light example -> the whole one, by its place in the source."""

    def __init__(self, items: Sequence[Mapping[str, Any]]):
        self.items = items

    def __call__(self, light: Mapping[str, Any]) -> dict[str, Any]:
        return {**light, "waveform": _samples(self.items[light["index"]]).astype("float32") / 2**15}


def _light(index: int, item: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    samples = _samples(item)
    return {
        "index": index,
        "label": names[int(item["label"])],
        "digest": hashlib.sha256(samples.tobytes()).hexdigest()[:16],
        "rate": _RATE,
        "samples": len(samples),
    }


def _samples(item: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(item["audio"]).reshape(-1).astype("int16")
