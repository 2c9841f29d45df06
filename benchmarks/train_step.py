"""A training step of a text classifier, as `Model.fit` runs it, beside Keras, KerasHub, PyTorch and Hugging Face."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.classifier import Size, full_batch
from benchmarks.measure import Worker, compared, in_turn, machine, spread

PEERS = ("suite", "keras", "keras_xla", "keras_hub", "keras_hub_xla", "torch", "hugging_face")
SIZES = (
    {"batch": 64, "length": 128, "width": 128, "depth": 4, "heads": 4, "hidden": 512},
    {"batch": 32, "length": 128, "width": 256, "depth": 6, "heads": 8, "hidden": 1024},
)
RECURRENT = (
    {"batch": 64, "length": 64, "width": 128, "depth": 1, "cell": "LSTM"},
    {"batch": 64, "length": 64, "width": 128, "depth": 1, "cell": "GRU"},
)
QUICK = ({"batch": 4, "length": 16, "width": 16, "depth": 2, "heads": 2, "hidden": 32, "vocabulary": 50},)
STEPS = 6  # of a repeat


def run(
    *,
    backend: str,
    precision: str = "float32",
    repeats: int = 9,
    threads: int = 2,
    quick: bool = False,
    peers: Sequence[str] = (),
    sizes: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """A row for each size and peer.

    Args:
        backend: of Keras.
        precision: ``"float32"``, or ``"bfloat16"`` of features, with weights of float32.
        repeats: of each peer and size.
        threads: processors for each peer.
        quick: whether shapes are tiny.
        peers: some of `PEERS`, the first of them ours, which ratios compare with.
        sizes: arguments of `Size`; by default `SIZES`.
    """
    peers = peers or [name for name in PEERS if backend == "tensorflow" or not name.endswith("_xla")]
    workers = {name: Worker(peer_class(name), backend=backend, threads=threads, name=name) for name in peers}
    try:
        device, alike = compared(workers)
        peaks = {name: worker.call("peak", precision, 256 if quick else 4096) for name, worker in alike.items()}
        measured = [Size(precision=precision, **size) for size in sizes or (QUICK if quick else SIZES)]
        rows = [row for size in measured for row in _measure(size, alike, peaks, repeats)]
    finally:
        for worker in workers.values():
            worker.close()
    return [{"benchmark": "train_step", "backend": backend, **row, **machine(device, threads)} for row in rows]


def recurrent(*, quick: bool = False, peers: Sequence[str] = (), **settings: Any) -> list[dict[str, Any]]:
    """A row for each recurrent layer and peer; arguments as of `run`."""
    tiny = {"batch": 4, "length": 8, "width": 8, "vocabulary": 50}
    sizes = [{**size, **(tiny if quick else {})} for size in RECURRENT]
    rows = run(quick=quick, peers=peers or ("suite", "keras", "torch"), sizes=sizes, **settings)
    return [{**row, "benchmark": "rnn_step"} for row in rows]


def peer_class(peer: str) -> str:
    """Where a peer's class is, as ``"module:Class"``."""
    if peer.startswith(("torch", "hugging_face")):
        return "benchmarks.torch_classifier:TorchClassifier"
    return "benchmarks.keras_classifier:KerasClassifier"


def _measure(size: Size, workers: dict[str, Worker], peaks: dict[str, float], repeats: int) -> list[dict[str, Any]]:
    batches = [full_batch(size)] * (STEPS + 1)
    parameters = {name: worker.call("prepare", size, batches) for name, worker in workers.items()}
    seconds = {name: values / STEPS for name, values in in_turn(workers, repeats=repeats, method="epoch").items()}
    ours = next(iter(workers))
    return [
        {
            **dataclasses.asdict(size),
            "peer": name,
            "parameters": parameters[name],
            "repeats": repeats,
            **spread(seconds[name], seconds[ours]),
            "steps_per_second": 1 / np.median(seconds[name]),
            "gigaflops": size.flops() / 1e9,
            "peak_gigaflops_per_second": peaks[name] / 1e9,
            "utilization": size.flops() / np.median(seconds[name]) / peaks[name],
        }
        for name in workers
    ]
