"""Memory and speed of attention over long sequences, each layer in a fresh process.

Chunked attention is compared with the plain one at one length; local attention grows from length to length.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import memory
from benchmarks.measure import Worker, in_turn, machine, spread

HEADS, HEAD_WIDTH, BATCH = 4, 64, 1
CHUNK, WINDOW = 256, 256
_COPIES = {False: 4, True: 9}  # of the weights (B, H, T, T) that plain attention may hold at once, by training


def run(
    *, backend: str, precision: str = "float32", repeats: int = 5, threads: int = 2, quick: bool = False
) -> list[dict[str, Any]]:
    """A row for each pass, length and layer.

    Args:
        backend: of Keras.
        precision: of weights and features.
        repeats: of each layer and length.
        threads: processors for each process.
        quick: whether sequences are short.
    """
    exact = ("plain", "chunked", "fused", "keras")
    lengths = (1024, 2048, 4096, 8192, 16384)
    groups: list[tuple[bool, int, tuple[str, ...]]] = [(False, 16384, exact), (True, 8192, exact)]
    groups += [(training, length, ("local",)) for training in (False, True) for length in lengths]
    if quick:
        groups = [(False, 128, ("plain", "chunked")), (True, 64, ("local",))]
    sizes = {"chunked": 32 if quick else CHUNK, "local": 16 if quick else WINDOW}
    rows = []
    for training, length, kinds in groups:
        settings = (BATCH, length, HEADS, HEAD_WIDTH, training, precision)
        rows += _measure(settings, kinds, sizes, backend=backend, threads=threads, repeats=repeats)
    return [{"benchmark": "long_attention", "backend": backend, **row} for row in rows]


def _measure(
    settings: tuple[int, int, int, int, bool, str],
    kinds: tuple[str, ...],
    sizes: dict[str, int],
    *,
    backend: str,
    threads: int,
    repeats: int,
) -> list[dict[str, Any]]:
    batch, length, heads, head_width, training, precision = settings
    needed = batch * heads * length**2 * 4 * _COPIES[training]
    if "plain" in kinds and memory.available() < needed:
        raise MemoryError(
            f"Plain attention over {length} positions expects {needed / 2**30:.0f} GiB of free memory. "
            f"Received: {memory.available() / 2**30:.0f} GiB"
        )
    peer = "benchmarks.attention_peer:AttentionPeer"
    workers = {
        kind: Worker(peer, backend=backend, threads=threads, kind=kind, size=sizes.get(kind, 0)) for kind in kinds
    }
    try:
        described = machine(workers[kinds[0]].call("device"), threads)
        measured = {kind: worker.call("measure", *settings) for kind, worker in workers.items()}
        seconds = in_turn(workers, repeats=repeats)
    finally:
        for worker in workers.values():
            worker.close()
    first = kinds[0]
    peaks = {kind: max(peak, 1) for kind, (peak, _, _) in measured.items()}
    return [
        {
            "batch": batch,
            "length": length,
            "heads": heads,
            "head_width": head_width,
            "training": training,
            "precision": precision,
            "peer": kind,
            "size": sizes.get(kind),
            "parameters": measured[kind][1],
            "deviation": float(np.abs(measured[kind][2] - measured[first][2]).max()),
            "repeats": repeats,
            "peak_mib": peaks[kind] / 2**20,
            "memory_ratio": peaks[kind] / peaks[first],
            **spread(seconds[kind], seconds[first]),
            "kib_per_token": peaks[kind] / 2**10 / (batch * length),
            "microseconds_per_token": float(np.median(seconds[kind])) * 1e6 / (batch * length),
            **described,
        }
        for kind in kinds
    ]
