"""TED talks in pairs of languages of which one has few translations, or is near to one that has more.

    {"source": "e eu pensei : que sorte !", "target": "and i thought , how lucky !", "language": "en"}

``ted_hrlr_translate:pt-en`` and so on; Portuguese to English is the default. Texts are in words and small letters, as
published: a score on them is no score on written text. Turned round, ``ted_hrlr_translate:en-pt`` translates the other
way. ``aztr`` is Azerbaijani with Turkish, ``beru`` Belarusian with Russian, ``glpt`` Galician with Portuguese.

Origin: TensorFlow Datasets. Licence: CC BY-NC-ND 4.0, as TED's talks.
Reference: Qi et al. 2018, "When and why are pre-trained word embeddings useful for neural machine translation?",
https://arxiv.org/abs/1804.06323.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import parallel, sources

SCHEMA = "source->target"
DESCRIPTION = "TED talks, 14 pairs of languages"
ORIGIN = "TensorFlow Datasets: ted_hrlr_translate"
LICENCE = "CC BY-NC-ND 4.0"
SIZES = {"train": 51_785, "validation": 1193, "test": 1803}

_PAIRS = {
    f"{first}-{second}": f"ted_hrlr_translate/{first}_to_{second}"
    for second, firsts in (
        ("en", ("az", "aztr", "be", "beru", "gl", "glpt", "pt", "ru", "tr")),
        ("pt", ("es", "fr", "he", "it", "ru")),
    )
    for first in firsts
}
VARIANTS = f"{', '.join(_PAIRS)}, or one of them turned round; pt-en is the default"
_DOWNLOAD = "http://www.phontron.com/data/qi18naacl-dataset.tar.gz"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has Portuguese and English prepared."""
    return sources.tfds_prepared(_PAIRS["pt-en"], data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """The three splits, by TensorFlow Datasets.

    Args:
        data_dir: a folder with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    pair = parallel.chosen(variant or "pt-en", _PAIRS, module="ted_hrlr_translate")
    return parallel.from_tfds(pair, splits=("train", "validation", "test"), origin=_DOWNLOAD, data_dir=data_dir)
