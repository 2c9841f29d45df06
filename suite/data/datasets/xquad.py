"""XQuAD: 1,190 questions of SQuAD's dev in eleven languages, put into ten of them by professional translators.

    {"id": "56beb4343aeaaa14008c925b", "title": "",
     "context": "Die Verteidigung der Panthers gab nur 308 Punkte ab und belegte den sechsten Platz ...",
     "question": "Wie viele Punkte gab die Verteidigung der Panthers ab?",
     "answers": [{"text": "308", "start": 38}]}

``xquad:de`` and so on; ``xquad`` is English. It is test alone. Train on other data and then score the model on it, as
the paper does, or give training data of the same language beside it:

    python -m suite evaluate RUN_DIR --dataset xquad:de
    python -m suite run --task qa --dataset xquad:de --train OWN.json

Origin: https://github.com/google-deepmind/xquad. Licence: CC BY-SA 4.0.
Reference: Artetxe, Ruder and Yogatama 2020, "On the cross-lingual transferability of monolingual representations",
https://arxiv.org/abs/1910.11856.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import squad_sources
from suite.errors import InputError, did_you_mean

SCHEMA = "context,question->span"
DESCRIPTION = "questions of SQuAD in eleven languages, for test alone"
ORIGIN = "https://github.com/google-deepmind/xquad"
LICENCE = "CC BY-SA 4.0"
SIZES = {"test": 1190}

_ADDRESS = "https://github.com/deepmind/xquad/raw/master"
_FOLDER = "qa/xquad"
_CHECKSUMS = {
    "ar": "abdabd7afed5c635d99cca0f3f0d0c9d9ed0bc77451e963c2e4e0638c29e486d",
    "de": "990b5d746746ed65ed4702ea5f35f99ffa4e2f1c390c07d003642acd937916f9",
    "el": "821cf0f88e73fa258fd2f548b19b6ec39f7025059e16f6f9fc8cd797c9c3663e",
    "en": "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
    "es": "dcbae93ec3a9f4b9e78fd834a171d6f96c1a875e10e15b7530b7e4ef4971e37e",
    "hi": "df2cce3532b37e9beb8979704b5c9a4bf874358f105395a298b89427b43b9d24",
    "ru": "208d5b1aa154c52b1b5c5eda16281e455e8fd198cdb9af3f469f0d6037d973bf",
    "th": "5cdda11d0e1e075f7872abf4e6ae830388ce7f617964d542308e9ae4257e0f43",
    "tr": "92179a564774b7696100d144c1e10870d0a966b6fccbdd254a65b9d2ab1971cc",
    "vi": "f619a1eb11fb42d3ab0834259e488a65f585447ef6154437bfb7199d85161a04",
    "zh": "691d0b3359bc6b8faa8de931dfdfe21d50a65861ae348e32a0d1a0190b0c8835",
}
VARIANTS = f"a language: {', '.join(_CHECKSUMS)}; en is the default"


def available(data_dir: Path | None = None) -> bool:
    """Whether the English file is on this machine, or TensorFlow Datasets has it prepared."""
    return squad_sources.available("xquad/en", _files("en"), folder=_FOLDER, data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """Test, from a file, from TensorFlow Datasets where it has it prepared, or fetched.

    Args:
        data_dir: a folder with files such as ``xquad.de.json``, or with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    language = variant or "en"
    if language not in _CHECKSUMS:
        raise InputError(f"xquad:{variant}: unknown language; {did_you_mean(language, list(_CHECKSUMS))}")
    return squad_sources.load(
        f"xquad/{language}",
        _files(language),
        folder=_FOLDER,
        address=_ADDRESS,
        splits={"test": "test"},
        data_dir=data_dir,
    )


def _files(language: str) -> squad_sources.Files:
    return {"test": (f"xquad.{language}.json", _CHECKSUMS[language])}
