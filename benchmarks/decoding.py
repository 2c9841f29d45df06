"""Greedy decoding of a decoder of GPT-2's size, beside KerasHub's `generate` and Hugging Face's.

All have random weights of their own, for what they compute in a step does not depend on them; nothing stops early.
A step is what each token after the first costs: a whole call less one that writes a single token, so that neither the
reading of the prompts is in it nor what a call costs. Beside the time on the clock stands that of the processors, which
other programs on the machine disturb less, and beside both the floor: the bytes that a step cannot but read, over the
speed at which a process with as many threads reads memory in the same rounds.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import Worker, compared, in_turn, machine, spread
from suite.errors import InputError

PEERS = ("suite", "keras_hub", "hugging_face")
BATCHES = (1, 16)
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}  # of a weight
_READ = 2**29  # bytes that are read to see how fast memory is


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """What is decoded: by default GPT-2's smallest model, 124M weights, and a prompt of 512 tokens and 48 more.

    With the precision int8 linear maps and the table of tokens are, and what they multiply; other features are float32.
    """

    batch: int
    prompt: int = 512
    written: int = 48
    depth: int = 12
    heads: int = 12
    width: int = 768
    vocabulary: int = 50_257
    positions: int = 1024
    precision: str = "float32"

    @property
    def features(self) -> str:
        """The precision of features, and so of the cache."""
        return "float32" if self.precision == "int8" else self.precision

    def read(self, parameters: int, precision: str | None = None) -> float:
        """The bytes that a step reads: of weights all but the table of positions, and the cache when half is written.

        Args:
            parameters: the number of weights.
            precision: in place of its own, of weights and features.
        """
        cached = 2 * self.depth * self.batch * self.width * (self.prompt + self.written / 2)
        weights = parameters - self.positions * self.width
        return weights * BYTES[precision or self.precision] + cached * BYTES[precision or self.features]


TINY = {"prompt": 5, "written": 200, "depth": 2, "heads": 2, "width": 8, "vocabulary": 17, "positions": 256}


class DecodingPeer:
    """What a process serves: `prepare` a model, then the `seconds` of a step as often as asked."""

    size: Size

    def start(self, size: Size) -> float:
        """Write both texts that are compared for the first time. The seconds of the whole one, compilation included."""
        self.size = size
        self.prompts = np.random.default_rng(0).integers(1, size.vocabulary, (size.batch, size.prompt))
        first, _ = self._timed(size.written)
        self._timed(1)
        self.calls: dict[str, list[float]] = {"prompt_seconds": [], "processor_seconds": []}
        return first

    def seconds(self) -> float:
        """Of a step."""
        whole, whole_used = self._timed(self.size.written)
        one, one_used = self._timed(1)
        self.calls["prompt_seconds"].append(one)
        self.calls["processor_seconds"].append((whole_used - one_used) / (self.size.written - 1))
        return (whole - one) / (self.size.written - 1)

    def medians(self) -> dict[str, float]:
        """Of the calls of `seconds`: the seconds until the first token came, and those of all threads in a step."""
        return {name: float(np.median(seconds)) for name, seconds in self.calls.items()}

    def _timed(self, count: int) -> tuple[float, float]:
        start, used = time.perf_counter(), time.process_time()
        written = self.write(count)
        spent = time.perf_counter() - start, time.process_time() - used
        if written.shape != (self.size.batch, count):
            raise RuntimeError(f"expected {count} tokens a row, and {written.shape} came")
        return spent

    def device(self) -> str:
        """The accelerator's name, or "cpu"."""
        raise NotImplementedError

    def prepare(self, size: Size) -> tuple[int, float]:
        """Make the model and decode once. The number of weights, and the seconds of that call."""
        raise NotImplementedError

    def write(self, count: int) -> np.ndarray:
        """The next tokens, (batch, count)."""
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
    """A row for each batch and peer.

    Args:
        backend: of Keras; Hugging Face runs on PyTorch.
        precision: of weights and features; with int8 that of linear maps and the table of tokens.
        repeats: of each peer and batch.
        threads: processors for each peer.
        quick: whether the model and the texts are tiny.
        peers: some of `PEERS`, the first of them ours, which ratios compare with.
    """
    if precision not in BYTES:
        raise InputError(f"--precision of decoding is one of {', '.join(BYTES)}. Received: {precision}")
    sizes = [Size(batch=batch, precision=precision, **(TINY if quick else {})) for batch in BATCHES]
    workers = {name: Worker(_class(name), backend=backend, threads=threads) for name in peers}
    reader = Worker("benchmarks.reading:Reader", backend=backend, threads=threads, size=2**16 if quick else _READ)
    try:
        device, alike = compared(workers)
        rows = [row for size in sizes for row in _measure(size, alike, reader, repeats)]
    finally:
        for worker in (*workers.values(), reader):
            worker.close()
    return [{"benchmark": "decoding", "backend": backend, **row, **machine(device, threads)} for row in rows]


def _class(peer: str) -> str:
    names = {"suite": "SuiteDecoder", "keras_hub": "KerasHubDecoder", "hugging_face": "HuggingFaceDecoder"}
    module = "benchmarks.torch_decoder" if peer == "hugging_face" else "benchmarks.keras_decoder"
    return f"{module}:{names[peer]}"


def _measure(size: Size, workers: dict[str, Worker], reader: Worker, repeats: int) -> list[dict[str, Any]]:
    prepared = {name: worker.call("prepare", size) for name, worker in workers.items()}
    seconds = in_turn({**workers, "reader": reader}, repeats=repeats)
    medians = {name: worker.call("medians") for name, worker in workers.items()}
    speed = 1e9 / np.median(seconds["reader"])  # bytes a second
    ours = next(iter(workers))
    rows = []
    for name, (parameters, first_call) in prepared.items():
        timing = spread(seconds[name], seconds[ours])
        floors = {
            "floor_ms": size.read(parameters) / speed * 1e3,
            "float32_floor_ms": size.read(parameters, "float32") / speed * 1e3,
        }
        rows.append(
            {
                **dataclasses.asdict(size),
                "peer": name,
                "parameters": parameters,
                "first_call_seconds": first_call,  # compilation included
                "repeats": repeats,
                **timing,
                "processor_ms": medians[name]["processor_seconds"] * 1e3,
                "processor_ratio": medians[name]["processor_seconds"] / medians[ours]["processor_seconds"],
                "prompt_ms": medians[name]["prompt_seconds"] * 1e3,
                "tokens_per_second": size.batch / timing["median_ms"] * 1e3,
                "read_gb_per_second": speed / 1e9,
                **floors,
                "floor_ratio": floors["floor_ms"] / timing["median_ms"],
                "float32_floor_ratio": floors["float32_floor_ms"] / timing["median_ms"],
            }
        )
    return rows
