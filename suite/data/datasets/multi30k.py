"""Multi30k: one English caption of each of 31,014 pictures, and its German translation by a professional.

    {"source": "A man in an orange hat starring at something.",
     "target": "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.", "language": "de"}

``multi30k`` translates from English to German, ``multi30k:de-en`` the other way. Test is test_2016_flickr. Pictures are
not read.

Origin: https://github.com/multi30k/dataset, task 1. Licence: for research; the captions are Flickr30K's.
Reference: Elliott, Frank, Sima'an and Specia 2016, "Multi30K: multilingual English-German image descriptions",
https://arxiv.org/abs/1605.00459. Published without pictures, English to German, test_2016_flickr: a Transformer of
4 + 4 layers and width 128 has 41.02 tokenised, lower-cased BLEU (Wu et al. 2021, "Good for misconceived reasons",
https://arxiv.org/abs/2105.14462).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import parallel, sources
from suite.errors import InputError
from suite.faults import Faults

SCHEMA = "source->target"
DESCRIPTION = "captions of pictures, English and German"
ORIGIN = "https://github.com/multi30k/dataset"
LICENCE = "for research; captions of Flickr30K"
SIZES = {"train": 29_000, "validation": 1014, "test": 1000}
VARIANTS = "en-de (the default), or de-en"

_ADDRESS = "https://github.com/multi30k/dataset/raw/master/data/task1/raw"
_FOLDER = "translation/multi30k"
_SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
_CHECKSUMS = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
}


def available(data_dir: Path | None = None) -> bool:
    """Whether all files are on this machine."""
    return all(_found(name, data_dir) for name in _CHECKSUMS)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, list[Any]]:
    """The three splits; fetches those files that are not on this machine. A file that was changed gives a note.

    Args:
        data_dir: a folder with the files under their own names.
        variant: see `VARIANTS`.
    """
    if variant not in ("", "en-de", "de-en"):
        raise InputError(f"multi30k:{variant}: unknown variant; expected {VARIANTS}")
    languages = (variant or "en-de").split("-")
    parts: dict[str, list[Any]] = {"notes": []}
    for split, stem in _SPLITS.items():
        paths = [_path(f"{stem}.{language}.gz", data_dir, parts["notes"]) for language in languages]
        parts[split] = parallel.read(Path(",".join(map(str, paths))), Faults())
    return parts


def _path(name: str, data_dir: Path | None, notes: list[str]) -> Path:
    path = _found(name, data_dir)
    if path is None:
        target = sources.data_home() / _FOLDER / name
        return sources.download(f"{_ADDRESS}/{name}", sha256=_CHECKSUMS[name], target=target)
    if (actual := sources.sha256(path)) != _CHECKSUMS[name]:
        notes.append(f"{path} is not the published file (SHA-256 {actual[:12]}...)")
    return path


def _found(name: str, data_dir: Path | None) -> Path | None:
    return sources.find_file((name,), data_dir=data_dir, subfolder=_FOLDER)
