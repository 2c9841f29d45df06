"""Fair timing: each peer in a process of its own, asked in turn for one repeat at a time.

Noise of the machine then hits all peers alike, and no framework's threads or memory disturb another's.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import multiprocessing
import os
import platform
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("keras", "keras-hub", "tensorflow", "jax", "torch")
_REST = 0.02  # seconds between two peers, in which the threads of the first stop spinning


class Worker:
    """A process with one peer, whose methods are called from here.

    Args:
        peer: the peer's class as ``"module:Class"``. It is imported in the process alone.
        backend: what Keras runs on there.
        threads: the number of processors that the process may use.
        **arguments: what the class is called with.
    """

    def __init__(self, peer: str, *, backend: str, threads: int, **arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        settings = {
            "KERAS_BACKEND": backend,
            "OMP_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several processes share one device
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "SUITE_CACHE": "",  # or what tokenizing takes would hang on what ran before
        }
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)  # a spawned process inherits them
        try:
            self.process = context.Process(target=_serve, args=(other, peer, threads, arguments), daemon=True)
            self.process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        other.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the peer returns."""
        try:
            self.connection.send((method, arguments))
            done, value = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise MemoryError(
                f"A process ended with exit code {self.process.exitcode}; -9 is for want of memory"
            ) from None
        if not done:
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join(timeout=10)
        self.process.kill()


def _serve(connection: Connection, peer: str, threads: int, arguments: dict[str, Any]) -> None:
    with suppress(AttributeError):  # only Linux knows it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    module, name = peer.split(":")
    failure = ""
    try:
        served = getattr(importlib.import_module(module), name)(**arguments)
    except Exception:
        failure = traceback.format_exc()
    while True:
        try:
            method, values = connection.recv()
        except EOFError:
            return
        try:
            connection.send((False, failure) if failure else (True, getattr(served, method)(*values)))
        except Exception:
            connection.send((False, traceback.format_exc()))


def compared(workers: dict[str, Worker]) -> tuple[str, dict[str, Worker]]:
    """The device of the first peer, and the peers that run on it; of the others it warns."""
    devices = {name: worker.call("device") for name, worker in workers.items()}
    device = next(iter(devices.values()))
    if left := [name for name in workers if devices[name] != device]:
        warnings.warn(f"Left out, for they run on {[devices[name] for name in left]}: {sorted(left)}", stacklevel=3)
    return device, {name: worker for name, worker in workers.items() if name not in left}


def in_turn(workers: Mapping[str, Worker], *, repeats: int, method: str = "seconds") -> dict[str, np.ndarray]:
    """What each peer's method says of each repeat: one repeat of every peer, in a new order, then the next."""
    order = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name in order.permutation(list(workers)):
            time.sleep(_REST)
            seconds[name].append(workers[name].call(method))
    return {name: np.array(values) for name, values in seconds.items()}


def spread(seconds: np.ndarray, ours: np.ndarray) -> dict[str, float]:
    """Median and quartiles in milliseconds; the ratio to ours, of medians and the median of the rounds' ratios."""
    low, median, high = np.percentile(seconds * 1e3, [25, 50, 75])
    return {
        "median_ms": median,
        "q1_ms": low,
        "q3_ms": high,
        "ratio": float(np.median(seconds) / np.median(ours)),
        "paired_ratio": float(np.median(seconds / ours)),
    }


def machine(device: str, threads: int) -> dict[str, Any]:
    """Hardware and versions, as every row states them."""
    installed = {found.name for found in importlib.metadata.distributions()}
    versions = {f"{name}_version": importlib.metadata.version(name) if name in installed else "" for name in PACKAGES}
    hardware = device if device != "cpu" else _processor()
    return {"hardware": hardware, "threads": threads, "python_version": platform.python_version(), **versions}


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()}, {os.cpu_count()} processors"
    return platform.processor() or platform.machine()


def save(rows: list[dict[str, Any]], path: Path) -> pd.DataFrame:
    """Write the rows as CSV, six digits each."""
    frame = pd.DataFrame(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, float_format="%.6g")
    return frame


def markdown(frame: pd.DataFrame) -> str:
    """A table for the docs."""
    rows = [[str(name).replace("_", " ") for name in frame.columns], ["---"] * frame.shape[1]]
    rows += [[f"{x:.3g}" if isinstance(x, float) else str(x) for x in row] for row in frame.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
