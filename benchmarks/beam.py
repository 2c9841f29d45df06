"""Beam search over the captions of Multi30k's test set, beside Hugging Face's Marian model of the same shape.

Weights are random, which is fair for speed alone where both take as many steps. So nobody may stop early: a batch is
translated with as many tokens as the longest of its references has, and one for the end. A word is a token. Both get
the same batches, of sentences of like length, sources padded on the right.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.measure import Worker, compared, in_turn, machine, spread

PEERS = ("suite", "hugging_face")
START, REST = 1, 2  # the token that starts a translation; the first of those that words are


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """What translates: the defaults are those of the suite's transformer on Multi30k, but for its vocabulary."""

    width: int = 128
    depth: int = 4  # of the encoder, and of the decoder
    heads: int = 4
    hidden: int = 256
    vocabulary: int = 5_000
    batch: int = 100
    beam: int = 5
    precision: str = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Sentences that are translated together.

    Args:
        source: (B, S) integers, of which 0 is padding at the end.
        tokens: how many are written for each.
    """

    source: np.ndarray
    tokens: int


class BeamPeer:
    """What a process serves: `prepare` a model, then the `seconds` of the whole test set as often as asked."""

    def prepare(self, size: Size, batches: Sequence[Batch]) -> tuple[int, float]:
        """Make the model and translate once. The number of weights, and the seconds of that, compilation included."""
        self.size, self.batches = size, batches
        self.used: list[float] = []
        parameters = self.make(size)
        first = self.seconds()
        self.used.clear()
        return parameters, first

    def seconds(self) -> float:
        """Of all batches."""
        start, used = time.perf_counter(), time.process_time()
        for batch in self.batches:
            written = self.translate(batch)
            if written != [batch.tokens] * len(batch.source):
                raise RuntimeError(f"expected {batch.tokens} tokens a row, and {written} came")
        self.used.append(time.process_time() - used)
        return time.perf_counter() - start

    def processor_seconds(self) -> float:
        """Of all its threads, the median over the calls of `seconds`."""
        return float(np.median(self.used))

    def device(self) -> str:
        """The accelerator's name, or "cpu"."""
        raise NotImplementedError

    def make(self, size: Size) -> int:
        """Make the model. The number of its weights."""
        raise NotImplementedError

    def translate(self, batch: Batch) -> list[int]:
        """The length of each row's best hypothesis."""
        raise NotImplementedError


def run(
    *,
    backend: str,
    precision: str = "float32",
    repeats: int = 5,
    threads: int = 2,
    quick: bool = False,
    peers: Sequence[str] = PEERS,
) -> list[dict[str, Any]]:
    """A row for each peer.

    Args:
        backend: of Keras; Hugging Face runs on PyTorch.
        precision: of weights and features.
        repeats: of each peer.
        threads: processors for each peer.
        quick: whether the model and the texts are tiny.
        peers: some of `PEERS`, the first of them ours, which ratios compare with.
    """
    tiny = {"width": 8, "depth": 1, "heads": 2, "hidden": 8, "vocabulary": 31, "batch": 2}
    size = Size(precision=precision, **(tiny if quick else {}))
    batches = list(made_batches([(3, 4), (2, 2), (5, 3)] if quick else lengths(), size))
    workers = {name: Worker(_class(name), backend=backend, threads=threads) for name in peers}
    try:
        device, alike = compared(workers)
        prepared = {name: worker.call("prepare", size, batches) for name, worker in alike.items()}
        seconds = in_turn(alike, repeats=repeats)
        used = {name: worker.call("processor_seconds") for name, worker in alike.items()}
    finally:
        for worker in workers.values():
            worker.close()
    sentences = sum(len(batch.source) for batch in batches)
    return [
        {
            "benchmark": "beam",
            "backend": backend,
            **dataclasses.asdict(size),
            "sentences": sentences,
            "steps": sum(batch.tokens for batch in batches),
            "peer": name,
            "parameters": parameters,
            "first_call_seconds": first,
            "repeats": repeats,
            **spread(seconds[name], seconds[peers[0]]),
            "processor_ms": used[name] * 1e3,
            "processor_ratio": used[name] / used[peers[0]],
            "sentences_per_second": sentences / np.median(seconds[name]),
            **machine(device, threads),
        }
        for name, (parameters, first) in prepared.items()
    ]


def lengths() -> list[tuple[int, int]]:
    """The words of each source and each reference.

    Raises:
        InputError: where there is no such data.
    """
    from suite.data.datasets import multi30k

    return [(len(pair["source"].split()), len(pair["target"].split())) for pair in multi30k.load()["test"]]


def made_batches(sentences: Sequence[tuple[int, int]], size: Size) -> Iterator[Batch]:
    """Words of sources and of references -> batches of sentences of like length, the words drawn."""
    generator = np.random.default_rng(0)
    ordered = sorted(sentences, key=lambda row: row[::-1])
    for begin in range(0, len(ordered), size.batch):
        rows = ordered[begin : begin + size.batch]
        source = np.zeros((len(rows), max(words for words, _ in rows)), "int32")
        for place, (words, _) in zip(source, rows, strict=True):
            place[:words] = generator.integers(REST, size.vocabulary, words)
        yield Batch(source=source, tokens=1 + max(words for _, words in rows))


def _class(peer: str) -> str:
    return {"suite": "benchmarks.keras_beam:SuiteBeam", "hugging_face": "benchmarks.torch_beam:HuggingFaceBeam"}[peer]
