"""The One Billion Word benchmark: sentences of English news, in random order.

    {"text": "The U.S. Centers for Disease Control and Prevention initially advised school systems to close ..."}

Each sentence is a text of its own. Its 30 million training sentences take days on a small machine: by default the first
100,000 train, and the first 5,000 of test are scored. Validation is cut from train.

Origin: Chelba et al. 2013, https://arxiv.org/abs/1312.3005, through TensorFlow Datasets, which splits texts into
sentences and leaves words whole. Licence: Apache-2.0; see https://www.statmt.org/lm-benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from suite.data import sources
from suite.errors import InputError

SCHEMA = "text"
DESCRIPTION = "sentences of English news, of which some are taken"
ORIGIN = "TensorFlow Datasets: lm1b"
LICENCE = "Apache-2.0"
SIZES = {"train": 100_000, "test": 5000}
VARIANTS = "how many sentences train: a number, 100000 by default; all takes 30,301,028, and all 306,688 of test"

_NAME = "lm1b"
_DOWNLOAD = "https://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz"


def available(data_dir: Path | None = None) -> bool:
    """Whether TensorFlow Datasets has it prepared."""
    return sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, Any]:
    """Train and test.

    Args:
        data_dir: a folder with what TensorFlow Datasets prepared.
        variant: see `VARIANTS`.
    """
    wanted = variant or str(SIZES["train"])
    if wanted != "all" and (not wanted.isdecimal() or int(wanted) < 1):
        raise InputError(f"lm1b:{variant}: unknown variant; expected {VARIANTS}")
    _, parts = sources.tfds_parts(_NAME, splits={"train": "train", "test": "test"}, origin=_DOWNLOAD, data_dir=data_dir)
    limits = {"train": None, "test": None} if wanted == "all" else {"train": int(wanted), "test": SIZES["test"]}
    found = {split: _texts(parts[split], limit) for split, limit in limits.items()}
    sizes = [f"the first {len(found[split]):,} of {len(parts[split]):,} sentences of {split}" for split in found]
    return {**found, "notes": [", ".join(sizes)]}


def _texts(items: Sequence[Any], limit: int | None) -> list[dict[str, str]]:
    texts = (item["text"] for item in islice(items, limit))
    return [{"text": text.decode() if isinstance(text, bytes) else str(text)} for text in texts]
