"""How much memory one call takes above what was there before it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


def peak_above(call: Callable[[], Any]) -> int:
    """Bytes at the call's peak minus bytes before it: the device's own count, or this process's resident memory."""
    gc.collect()
    before, peak = _counters()
    call()
    return peak() - before


def available() -> int:
    """Bytes of main memory that are free."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def give_way() -> None:
    """Ask the kernel to end this process first where memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _counters() -> tuple[int, Callable[[], int]]:
    backend = sys.modules["keras"].backend.backend() if "keras" in sys.modules else "torch"
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":  # the peak counts from the start of the process, so a process measures once
            return device.memory_stats()["bytes_in_use"], lambda: device.memory_stats()["peak_bytes_in_use"]
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            info = tf.config.experimental.get_memory_info
            tf.config.experimental.reset_memory_stats("GPU:0")
            return info("GPU:0")["current"], lambda: info("GPU:0")["peak"]
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    return _field(_STATUS, "VmRSS"), lambda: _field(_STATUS, "VmHWM")


def _field(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
