"""Forward pass and training step of an encoder block, beside Keras's, KerasHub's and PyTorch's."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.case import Case
from benchmarks.measure import Worker, compared, in_turn, machine, spread

PEERS = ("suite", "suite_fused", "keras", "keras_hub", "torch")
MORE_PEERS = ("torch_compile",)
SIZES = (
    {"batch": 64, "length": 128, "width": 128, "heads": 4, "hidden": 512},
    {"batch": 8, "length": 512, "width": 512, "heads": 8, "hidden": 2048},
)
QUICK = ({"batch": 4, "length": 16, "width": 16, "heads": 2, "hidden": 32},)
PASSES = ((False, 0.0), (True, 0.0), (True, 0.1))  # training, dropout


def run(
    *,
    backend: str,
    precision: str = "float32",
    repeats: int = 9,
    threads: int = 2,
    quick: bool = False,
    peers: Sequence[str] = PEERS,
    activation: str = "relu",
) -> list[dict[str, Any]]:
    """A row for each case and peer.

    Args:
        backend: of Keras.
        precision: of weights and features.
        repeats: of each peer and case.
        threads: processors for each peer.
        quick: whether shapes are tiny.
        peers: some of `PEERS` and `MORE_PEERS`, the first of them ours, which ratios compare with.
        activation: ``"relu"`` or ``"gelu"``.
    """
    sizes = QUICK if quick else SIZES
    cases = [
        Case(masked=masked, training=training, dropout=dropout, activation=activation, precision=precision, **size)
        for size, masked, (training, dropout) in itertools.product(sizes, (False, True), PASSES)
    ]
    workers = {name: Worker(_class(name), backend=backend, threads=threads, name=name) for name in peers}
    try:
        device, alike = compared(workers)
        peaks = {name: worker.call("peak", precision, 256 if quick else 4096) for name, worker in alike.items()}
        rows = [row for case in cases for row in _measure(case, alike, peaks, repeats)]
    finally:
        for worker in workers.values():
            worker.close()
    return [{"benchmark": "encoder_block", "backend": backend, **row, **machine(device, threads)} for row in rows]


def _class(peer: str) -> str:
    return "benchmarks.torch_peer:TorchPeer" if peer.startswith("torch") else "benchmarks.keras_peer:KerasPeer"


def _measure(case: Case, workers: dict[str, Worker], peaks: dict[str, float], repeats: int) -> list[dict[str, Any]]:
    prepared = {name: worker.call("prepare", case) for name, worker in workers.items()}
    seconds = in_turn(workers, repeats=repeats)
    ours = next(iter(workers))
    real = case.arrays()[2] if case.masked else ...
    rows = []
    for name, (parameters, output) in prepared.items():
        difference = np.abs(output - prepared[ours][1])[real]
        speed = case.flops() / np.median(seconds[name])
        rows.append(
            {
                **dataclasses.asdict(case),
                "peer": name,
                "parameters": parameters,
                "deviation": float(difference.max()),  # at real positions, without dropout
                "repeats": repeats,
                **spread(seconds[name], seconds[ours]),
                "gigaflops": case.flops() / 1e9,
                "peak_gigaflops_per_second": peaks[name] / 1e9,
                "utilization": speed / peaks[name],
            }
        )
    return rows
