"""SST-2: phrases of film reviews, positive or negative.

    {"text": "quirkily appealing", "label": "positive"}
    {"text": "in a standard plot", "label": "negative"}

Training and validation are phrases that people judged one by one, parts of sentences and whole ones; parts of one
sentence are in both. Test is whole sentences alone, of reviews that train has not: the part that GLUE calls validation,
since its test has no public labels. Sentences are split into words and in small letters.

Origin: files `train.tsv`, `dev.tsv` and `test.tsv`; else TensorFlow Datasets, `glue/sst2`, whose train is then cut.
Licence: none stated; cite the papers.
Reference: Socher et al. 2013, "Recursive deep models for semantic compositionality over a sentiment treebank", EMNLP
2013; Wang et al. 2019, "GLUE", https://arxiv.org/abs/1804.07461. On the original test of 1,821 sentences Kim 2014 has
an accuracy of 0.827 from random embeddings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.data import delimited, labelled, sources
from suite.faults import Faults

SCHEMA = "text->label"
DESCRIPTION = "phrases and sentences of film reviews, negative or positive"
ORIGIN = "files of the user's own, or TensorFlow Datasets: glue/sst2"
LICENCE = "none stated; cite Socher et al. 2013 and GLUE"
SIZES = {"train": 60614, "validation": 6735, "test": 872}

_NAME = "glue/sst2"
_DOWNLOAD = "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip"
_FOLDER = "sentiment/sst2"
_FILES = {  # split -> file, its SHA-256
    "train": ("train.tsv", "920e317b2c52e12cd22db1da2c6708312bd7dc4f3712b9bbf1b50ee6c2c792ba"),
    "validation": ("dev.tsv", "92353770071a2a889f75d000a38a9e541ea8f0a5499e50f040b17917a5cbf66f"),
    "test": ("test.tsv", "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0"),
}
_CLASSES = {"0": "negative", "1": "positive"}


def available(data_dir: Path | None = None) -> bool:
    """Whether its files are here, or TensorFlow Datasets has it prepared."""
    return len(_files(data_dir)) == len(_FILES) or sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None) -> dict[str, list[Any]]:
    """The three splits from files; without them train and test by TensorFlow Datasets."""
    files = _files(data_dir)
    if len(files) == len(_FILES):
        parts: dict[str, list[Any]] = {"notes": []}
        for split, (_, checksum) in _FILES.items():
            if (found := sources.sha256(files[split])) != checksum:
                parts["notes"].append(f"{split}: {files[split]} is not the known file (SHA-256 {found[:12]}...)")
            examples = delimited.read(files[split], Faults())
            parts[split] = [{**each, "label": _CLASSES.get(each["label"], each["label"])} for each in examples]
        return parts
    return {
        **labelled.load(
            _NAME,
            texts=("sentence",),
            splits={"train": "train", "test": "validation"},
            origin=_DOWNLOAD,
            data_dir=data_dir,
        ),
        "notes": ["test is GLUE's validation split, whose test has no public labels"],
    }


def _files(data_dir: Path | None) -> dict[str, Path]:
    found = {
        split: sources.find_file((name,), data_dir=data_dir, subfolder=_FOLDER) for split, (name, _) in _FILES.items()
    }
    return {split: path for split, path in found.items() if path is not None}
