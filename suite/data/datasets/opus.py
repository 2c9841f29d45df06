"""OPUS: German and English of five kinds, from medical leaflets to film subtitles.

    {"source": "Was ist Abilify?", "target": "What is Abilify?", "language": "en"}

``opus:medical`` (the default), ``law``, ``koran``, ``IT``, ``subtitles``: German to English. ``opus:medical-en-de``
translates the other way. There is one split, of which test and validation are cut by a fixed seed. Many sentences occur
more than once, so test has some that train has, too; how many, the notes say.

Origin: TensorFlow Datasets. Licence: of each corpus its own.
Reference: Tiedemann 2012, "Parallel data, tools and interfaces in OPUS", LREC 2012; the five kinds as Koehn and Knowles
2017, https://arxiv.org/abs/1706.03872, choose them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import parallel, sources
from suite.errors import InputError, did_you_mean

SCHEMA = "source->target"
DESCRIPTION = "German and English: medical, law, koran, IT, subtitles"
ORIGIN = "TensorFlow Datasets: opus"
LICENCE = "of each corpus its own"
SIZES = {"train": 1_108_752}

_KINDS = ("medical", "law", "koran", "IT", "subtitles")
_TURNED = "-en-de"
VARIANTS = f"{', '.join(_KINDS)}, or one of them with {_TURNED} behind it; medical is the default"
_DOWNLOAD = "https://object.pouta.csc.fi"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has the medical texts prepared."""
    return sources.tfds_prepared("opus/medical", data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """Train, by TensorFlow Datasets.

    Args:
        data_dir: a folder with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    kind = (variant or "medical").removesuffix(_TURNED)
    if kind not in _KINDS:
        raise InputError(f"opus:{variant}: unknown variant; {did_you_mean(kind, _KINDS)}")
    languages = ("en", "de") if variant.endswith(_TURNED) else ("de", "en")
    pair = parallel.Translations(f"opus/{kind}", *languages)
    return parallel.from_tfds(pair, splits=("train",), origin=_DOWNLOAD, data_dir=data_dir)
