"""A million short texts as numbers of their pieces: the first time, from the cache, and by Hugging Face's tokenizers.

Each text is a phrase of SST-2 in which two words gave way to others of the phrases, so that hardly two are the same.
Learning the pieces from all texts is told apart from cutting them; both take the same tokenizer.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import Worker, in_turn, machine, spread
from suite.data import bpe, cache, subwords
from suite.data.datasets import sst2
from suite.errors import InputError

PEERS = ("suite", "suite_cached", "hugging_face")
LEVELS = ("subwords", "bytes")
SIZE = 8000  # pieces
TEXTS, FEW = 1_000_000, 300
_BATCH = 10_000  # of Hugging Face's, whose own outcomes take much memory


def run(
    *, backend: str, precision: str = "", repeats: int = 3, threads: int = 2, quick: bool = False
) -> list[dict[str, Any]]:
    """A row for each kind of pieces and peer.

    Args:
        backend: has no part in this.
        precision: likewise.
        repeats: of each peer.
        threads: processors for each.
        quick: whether a few texts are enough.

    Raises:
        InputError: SST-2 is not there.
    """
    if not sst2.available():
        raise InputError("tokenizing needs SST-2: name a folder with sentiment/sst2/train.tsv as SUITE_DATA")
    described = machine("cpu", threads)
    rows = []
    for level in LEVELS:
        workers = {
            name: Worker("benchmarks.tokenizing:Tokenizing", backend=backend, threads=threads, way=name, level=level)
            for name in PEERS
        }
        try:
            rows += _measure(level, workers, repeats, FEW if quick else TEXTS)
        finally:
            for worker in workers.values():
                worker.close()
    return [{"benchmark": "tokenizing", **row, **described} for row in rows]


def _measure(level: str, workers: dict[str, Worker], repeats: int, count: int) -> list[dict[str, Any]]:
    learned = {name: worker.call("prepare", count) for name, worker in workers.items()}
    seconds = in_turn(workers, repeats=repeats)
    used = {name: np.median(worker.call("processor_seconds")) for name, worker in workers.items()}
    found = {name: worker.call("checksum") for name, worker in workers.items()}
    for worker in workers.values():
        worker.call("end")
    rows = []
    for name, timing in seconds.items():
        rows.append(
            {
                "pieces": level,
                "texts": count,
                "peer": name,
                "same": found[name] == found["suite"],
                "learning_seconds": learned[name],
                "repeats": repeats,
                **spread(timing, seconds["suite"]),
                "processor_ms": used[name] * 1e3,
                "processor_ratio": used[name] / used["suite"],
                "texts_per_second": count / np.median(timing),
            }
        )
    return rows


class Tokenizing:
    """One peer, in a process of its own.

    Args:
        way: of `PEERS`.
        level: of `LEVELS`.
    """

    def __init__(self, way: str, level: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.way, self.level = way, level
        self.processor: list[float] = []

    def prepare(self, count: int) -> float:
        """Make the texts and learn the pieces; the seconds of learning, which of the cached peer are those again."""
        self.texts = varied([example["text"] for example in sst2.load()["train"]], count)
        cache.LEAST = 0
        self._choose_cache()
        if self.way == "suite_cached":
            self._learn()
            self.known.encode_many(self.texts)
        start = time.perf_counter()
        self._learn()
        return time.perf_counter() - start

    def _choose_cache(self) -> None:
        os.environ["SUITE_CACHE"] = self.folder.name if self.way == "suite_cached" else ""

    def _learn(self) -> None:
        if self.level == "subwords":
            self.known: Any = subwords.Subwords(subwords.train(self.texts, size=SIZE))
        else:
            self.known = bpe.Pieces(bpe.train(self.texts, size=SIZE))
        self.known.encode("")  # the tokenizer is read when it is first needed

    def seconds(self) -> float:
        """Of cutting all texts."""
        self._choose_cache()
        start, used = time.perf_counter(), time.process_time()
        if self.way == "hugging_face":
            self.found = [ids for first in range(0, len(self.texts), _BATCH) for ids in self._batch(first)]
        else:
            cut = self.known.encode_many(self.texts)
            self.found = cut if self.level == "bytes" else [pieces.ids for pieces in cut]
        self.processor.append(time.process_time() - used)
        return time.perf_counter() - start

    def _batch(self, first: int) -> list[np.ndarray]:
        texts = self.texts[first : first + _BATCH]
        found = self.known._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(each.ids, dtype="int32") for each in found]

    def processor_seconds(self) -> list[float]:
        """Of all its threads, in each call of `seconds`."""
        return self.processor

    def end(self) -> None:
        """Remove the cache."""
        self.folder.cleanup()

    def checksum(self) -> str:
        """Of all pieces and of how many each text has."""
        lengths = np.array([len(ids) for ids in self.found])
        return hashlib.sha256(lengths.tobytes() + np.concatenate(self.found).tobytes()).hexdigest()


def varied(phrases: Sequence[str], count: int) -> list[str]:
    """So many texts: phrases in which two words gave way to words of any phrase."""
    random = np.random.default_rng(0)
    split = [phrase.split() for phrase in phrases]
    words = np.array([word for phrase in split for word in phrase], dtype=object)
    texts = []
    chosen = random.integers(len(split), size=count)
    for phrase, places, new in zip(chosen, random.random((count, 2)), random.choice(words, (count, 2)), strict=True):
        text = list(split[phrase])
        for place, word in zip(places, new, strict=True):
            text[int(place * len(text))] = word
        texts.append(" ".join(text))
    return texts
