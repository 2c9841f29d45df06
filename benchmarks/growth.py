"""How time and memory grow with length, batch, depth and the data, each point in a fresh process.

Where the library claims that something grows linearly, the exponent stands beside it: the slope of the logarithms over
the upper half of the values, 1 where twice as much costs twice as much.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from benchmarks.classifier import Size, full_batch
from benchmarks.measure import Worker, machine

PASSES = 3  # of each point; the median is kept
STEPS = 3  # of a classifier's pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """What grows.

    Args:
        axis: ``"length"`` of the sequence, ``"batch"``, ``"depth"`` or ``"data"``.
        what: the layer, or the part of a run.
        values: of the axis.
        time: the exponent that is claimed for it, if any.
        memory: likewise.
    """

    axis: str
    what: str
    values: tuple[int, ...]
    time: float | None = None
    memory: float | None = None


def _doubled(first: int, last: int) -> tuple[int, ...]:
    return tuple(first * 2**power for power in range((last // first).bit_length()))


CURVES = (
    Curve(axis="length", what="plain", values=_doubled(256, 8192)),
    Curve(axis="length", what="chunked", values=_doubled(256, 4096), memory=1),
    Curve(axis="length", what="local", values=_doubled(256, 16384), time=1, memory=1),
    Curve(axis="length", what="linear", values=_doubled(256, 16384), time=1, memory=1),
    Curve(axis="batch", what="step", values=_doubled(2, 128), time=1, memory=1),
    Curve(axis="depth", what="step", values=_doubled(1, 16), time=1, memory=1),
    Curve(axis="data", what="reading", values=(1, 10, 100), time=1, memory=1),
    Curve(axis="data", what="encoding", values=(1, 10, 100), time=1, memory=1),
    Curve(axis="data", what="batching", values=(1, 10, 100), time=1),
)
QUICK = (
    Curve(axis="length", what="local", values=(32, 64), time=1, memory=1),
    Curve(axis="batch", what="step", values=(2, 4), time=1, memory=1),
    Curve(axis="data", what="reading", values=(1, 2), time=1, memory=1),
)
SIZE: dict[str, Any] = {"batch": 32, "length": 128, "width": 128, "depth": 2, "heads": 4, "hidden": 512}
TINY: dict[str, Any] = {"batch": 2, "length": 8, "width": 8, "depth": 1, "heads": 2, "hidden": 8, "vocabulary": 20}
HEADS, HEAD_WIDTH, CHUNK = 4, 64, 256


def run(
    *, backend: str, precision: str = "float32", repeats: int = PASSES, threads: int = 2, quick: bool = False
) -> list[dict[str, Any]]:
    """A row for each point of each curve.

    Args:
        backend: of Keras.
        precision: of weights and features.
        repeats: of each point.
        threads: processors for each process.
        quick: whether there are few points, and small ones.
    """
    rows = []
    for curve in QUICK if quick else CURVES:
        points = [
            _point(curve, value, backend=backend, precision=precision, repeats=repeats, threads=threads, quick=quick)
            for value in curve.values
        ]
        # Other work on the machine only ever adds to a time, so the fastest repeat says most of how it grows.
        seconds, mib = (np.array([point[name] for point in points]) for name in ("seconds_low", "peak_mib"))
        grown = {
            "time_exponent": exponent(curve.values, seconds),
            "wanted_time_exponent": curve.time,
            "memory_exponent": exponent(curve.values, mib),
            "wanted_memory_exponent": curve.memory,
        }
        about = {"benchmark": "growth", "backend": backend, "axis": curve.axis, "what": curve.what}
        rows += [{**about, "value": value, **point, **grown} for value, point in zip(curve.values, points, strict=True)]
    return rows


def exponent(values: Any, costs: np.ndarray) -> float:
    """The slope of log cost over log value, over the upper half of the values.

    Example:

    >>> round(exponent([1, 2, 4, 8], np.array([5.0, 5.0, 16.0, 64.0])), 2)
    2.0
    """
    upper = slice(len(costs) // 2 if len(costs) > 3 else len(costs) - 2, None)
    return float(np.polyfit(np.log(values[upper]), np.log(np.maximum(costs[upper], 1e-9)), 1)[0])


def _point(
    curve: Curve, value: int, *, backend: str, precision: str, repeats: int, threads: int, quick: bool
) -> dict[str, Any]:
    peers = {"length": "attention_peer:AttentionPeer", "data": "data_peer:DataPeer"}
    peer = peers.get(curve.axis, "keras_classifier:KerasClassifier")
    arguments: dict[str, Any] = {"name": "suite"}
    if curve.axis == "length":
        arguments = {"kind": curve.what, "size": 8 if quick else CHUNK}
    elif curve.axis == "data":
        arguments = {"part": curve.what}
    worker = Worker(f"benchmarks.{peer}", backend=backend, threads=threads, **arguments)
    try:
        if curve.axis == "length":
            peak, parameters, _ = worker.call("measure", 1, value, HEADS, HEAD_WIDTH, True, precision)
        elif curve.axis == "data":
            peak, parameters = worker.call("measure", value), None
        else:
            size = Size(precision=precision, **{**(TINY if quick else SIZE), curve.axis: value})
            peak, parameters = worker.call("peak_memory", size, [full_batch(size)] * (STEPS + 1))
        method, passes = ("epoch", STEPS) if curve.axis in ("batch", "depth") else ("seconds", 1)
        seconds = [worker.call(method) / passes for _ in range(repeats)]
        described = machine(worker.call("device"), threads)
    finally:
        worker.close()
    return {
        "precision": precision,
        "parameters": parameters,
        "repeats": repeats,
        "seconds": float(np.median(seconds)),
        "seconds_low": min(seconds),
        "seconds_high": max(seconds),
        "peak_mib": max(peak, 1) / 2**20,
        **described,
    }
