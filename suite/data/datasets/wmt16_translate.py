"""WMT 2016: news in English and six other languages, the shared task of that year.

    {"source": "Obama empfängt Netanyahu", "target": "Obama receives Netanyahu", "language": "en"}

``wmt16_translate:de-en`` and so on; German to English is the default, and ``wmt16_translate:en-de`` translates the
other way. Training sets have up to 50 million pairs (Russian 2.5, German 4.5, Turkish 0.2): `--limit` takes a sample.
All of them are held in memory.

Origin: TensorFlow Datasets. Licence: of each corpus its own; for research.
Reference: Bojar et al. 2016, "Findings of the 2016 conference on machine translation", WMT 2016.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import parallel, sources

SCHEMA = "source->target"
DESCRIPTION = "news, Parliament and web pages in English and six other languages"
ORIGIN = "TensorFlow Datasets: wmt16_translate"
LICENCE = "of each corpus its own; for research"
SIZES = {"train": 4_548_885, "validation": 2169, "test": 2999}

_PAIRS = {f"{each}-en": f"wmt16_translate/{each}-en" for each in ("cs", "de", "fi", "ro", "ru", "tr")}
VARIANTS = f"{', '.join(_PAIRS)}, or one of them turned round; de-en is the default"
_DOWNLOAD = "https://data.statmt.org/wmt16/translation-task/dev.tgz"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has German and English prepared."""
    return sources.tfds_prepared(_PAIRS["de-en"], data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """The three splits, by TensorFlow Datasets.

    Args:
        data_dir: a folder with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    pair = parallel.chosen(variant or "de-en", _PAIRS, module="wmt16_translate")
    return parallel.from_tfds(pair, splits=("train", "validation", "test"), origin=_DOWNLOAD, data_dir=data_dir)
