"""How much memory the training of a text classifier takes, each peer in a fresh process, and what saving it costs.

The peak is that of making the model, compiling it and training a few steps, above what the process held before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.classifier import Size, full_batch
from benchmarks.measure import Worker, machine
from benchmarks.train_step import peer_class

PEERS = ("suite", "suite_remat", "suite_chunked", "keras", "keras_hub", "torch", "hugging_face")
SIZES: tuple[dict[str, Any], ...] = (
    {"batch": 64, "length": 128, "width": 128, "depth": 4, "heads": 4, "hidden": 512},
    {"batch": 8, "length": 1024, "width": 256, "depth": 4, "heads": 8, "hidden": 1024},
)
QUICK: tuple[dict[str, Any], ...] = (
    {"batch": 4, "length": 16, "width": 16, "depth": 2, "heads": 2, "hidden": 32, "vocabulary": 50},
)
STEPS = 2  # of an epoch


def run(
    *,
    backend: str,
    precision: str = "float32",
    repeats: int = 3,
    threads: int = 2,
    quick: bool = False,
    peers: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A row for each size and peer.

    Args:
        backend: of Keras.
        precision: ``"float32"``, or ``"bfloat16"`` of features, with weights of float32.
        repeats: epochs of which the median is taken.
        threads: processors for each peer.
        quick: whether shapes are tiny.
        peers: some of `PEERS`, the first of them ours, which ratios compare with.
    """
    rows = []
    for settings in QUICK if quick else SIZES:
        size = Size(precision=precision, **settings)
        found = {
            name: _measure(name, size, backend=backend, threads=threads, repeats=repeats) for name in peers or PEERS
        }
        ours = next(iter(found.values()))
        for name, row in found.items():
            ratios = {
                "memory_ratio": row["peak_mib"] / ours["peak_mib"],
                "ratio": row["median_ms"] / ours["median_ms"],
            }
            about = {"benchmark": "train_memory", "backend": backend, **dataclasses.asdict(size)}
            rows.append({**about, "peer": name, "repeats": repeats, **ratios, **row})
    return rows


def _measure(name: str, size: Size, *, backend: str, threads: int, repeats: int) -> dict[str, Any]:
    worker = Worker(peer_class(name), backend=backend, threads=threads, name=name)
    try:
        described = machine(worker.call("device"), threads)
        peak, parameters = worker.call("peak_memory", size, [full_batch(size)] * (STEPS + 1))
        seconds = [worker.call("epoch") / STEPS for _ in range(repeats)]
    finally:
        worker.close()
    low, median, high = np.percentile(seconds, [25, 50, 75]) * 1e3
    measured = {"peak_mib": peak / 2**20, "median_ms": median, "q1_ms": low, "q3_ms": high}
    return {"parameters": parameters, **measured, **described}
