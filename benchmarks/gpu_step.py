"""A training step of GPT-2, BERT and ViT on an accelerator, on JAX, beside `torch.compile`.

Neither TensorFlow nor a network is needed: all data is random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.large import Large
from benchmarks.measure import Worker, in_turn, machine, spread

SIZES = (
    {"model": "gpt2", "batch": 16, "length": 1024, "outputs": 50_257},  # 124M weights
    {"model": "bert", "batch": 64, "length": 512, "outputs": 2},
    {"model": "vit", "batch": 128, "length": 196, "outputs": 1000},
)
TINY = {"batch": 2, "length": 4, "width": 16, "depth": 2, "heads": 2, "hidden": 32, "outputs": 11, "vocabulary": 11}
STEPS = 10  # of a repeat


def run(
    *,
    backend: str,
    precision: str = "bfloat16",
    repeats: int = 9,
    threads: int = 2,
    quick: bool = False,
    peers: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A row for each model and peer.

    Args:
        backend: of Keras.
        precision: of features; weights are float32.
        repeats: of each peer and model.
        threads: processors for each peer.
        quick: whether shapes are tiny, and PyTorch runs eagerly.
        peers: ours first; by default with ``"torch_compile"``, or with ``"torch"`` where it is `quick`.
    """
    peers = peers or ("suite", "torch" if quick else "torch_compile")
    sizes = [Large(**{**size, **(TINY if quick else {}), "precision": precision}) for size in SIZES]  # type: ignore[arg-type]
    rows = []
    for size in sizes:  # in processes of their own: an accelerator's memory is not given back otherwise
        workers = {name: Worker(_class(name), backend=backend, threads=threads, name=name) for name in peers}
        try:
            rows += _measure(size, workers, repeats, 256 if quick else 8192, threads)
        finally:
            for worker in workers.values():
                worker.close()
    return [{"benchmark": "gpu_step", "backend": backend, **row} for row in rows]


def _class(peer: str) -> str:
    return "benchmarks.large_torch:LargeTorch" if peer.startswith("torch") else "benchmarks.large_keras:LargeKeras"


def _measure(size: Large, workers: dict[str, Worker], repeats: int, square: int, threads: int) -> list[dict[str, Any]]:
    peaks = {name: worker.call("peak", size.precision, square) for name, worker in workers.items()}
    parameters = {name: worker.call("prepare_large", size, STEPS + 1) for name, worker in workers.items()}
    seconds = {name: values / STEPS for name, values in in_turn(workers, repeats=repeats, method="epoch").items()}
    ours = next(iter(workers))
    return [
        {
            **dataclasses.asdict(size),
            "peer": name,
            "parameters": parameters[name],
            "repeats": repeats,
            **spread(seconds[name], seconds[ours]),
            "teraflops": size.flops() / 1e12,
            "peak_teraflops_per_second": peaks[name] / 1e12,
            "utilization": size.flops() / np.median(seconds[name]) / peaks[name],
            **machine(worker.call("device"), threads),
        }
        for name, worker in workers.items()
    ]
