"""Greedy decoding of a decoder of GPT-2's size, beside KerasHub's `generate` and Hugging Face's.

All have random weights of their own, for what they compute in a step does not depend on them; nothing stops early.
Beside the time on the clock stands that of the processors, which other programs on the machine disturb less.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import Worker, in_turn, machine, spread

PEERS = ("suite", "keras_hub", "hugging_face")
BATCHES = (1, 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """What is decoded: the defaults are GPT-2's smallest model, 124M weights, and a prompt of 32 tokens and 96 more."""

    batch: int
    prompt: int = 32
    written: int = 96
    depth: int = 12
    heads: int = 12
    width: int = 768
    vocabulary: int = 50_257
    positions: int = 1024
    precision: str = "float32"


TINY = {"prompt": 5, "written": 4, "depth": 2, "heads": 2, "width": 8, "vocabulary": 17, "positions": 16}


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
        precision: of weights and features.
        repeats: of each peer and batch.
        threads: processors for each peer.
        quick: whether the model and the texts are tiny.
        peers: some of `PEERS`, the first of them ours, which ratios compare with.
    """
    sizes = [Size(batch=batch, precision=precision, **(TINY if quick else {})) for batch in BATCHES]
    workers = {name: Worker(_class(name), backend=backend, threads=threads) for name in peers}
    try:
        devices = {name: worker.call("device") for name, worker in workers.items()}
        described = machine(devices[peers[0]], threads)
        compared = {name: worker for name, worker in workers.items() if devices[name] == devices[peers[0]]}
        if left := devices.keys() - compared.keys():
            warnings.warn(f"Left out, for they run on {[devices[name] for name in left]}: {sorted(left)}", stacklevel=2)
        rows = [row for size in sizes for row in _measure(size, compared, repeats)]
    finally:
        for worker in workers.values():
            worker.close()
    return [{"benchmark": "decoding", "backend": backend, **row, **described} for row in rows]


def _class(peer: str) -> str:
    names = {"suite": "SuiteDecoder", "keras_hub": "KerasHubDecoder", "hugging_face": "HuggingFaceDecoder"}
    module = "benchmarks.torch_decoder" if peer == "hugging_face" else "benchmarks.keras_decoder"
    return f"{module}:{names[peer]}"


def _measure(size: Size, workers: dict[str, Worker], repeats: int) -> list[dict[str, Any]]:
    prepared = {name: worker.call("prepare", size) for name, worker in workers.items()}
    seconds = in_turn(workers, repeats=repeats)
    processor = {name: np.median(worker.call("processor_seconds")) for name, worker in workers.items()}
    ours = next(iter(workers))
    rows = []
    for name, (parameters, first_call) in prepared.items():
        timing = spread(seconds[name], seconds[ours])
        rows.append(
            {
                **dataclasses.asdict(size),
                "peer": name,
                "parameters": parameters,
                "first_call_seconds": first_call,  # compilation included
                "repeats": repeats,
                **timing,
                "processor_ms": processor[name] * 1e3,
                "processor_ratio": processor[name] / processor[ours],
                "tokens_per_second": size.batch * size.written / timing["median_ms"] * 1e3,
            }
        )
    return rows
