"""How fast a process reads memory: what nothing that reads all weights for each token can be faster than."""

from __future__ import annotations

import time

import numpy as np


class Reader:
    """Products of a large matrix and a vector, which read each number once, by NumPy with the process's threads.

    Args:
        size: bytes of the matrix; far more than a processor's own cache holds, or it is not memory that is read.
    """

    def __init__(self, size: int) -> None:
        self.matrix = np.ones((size // 4096, 1024), "float32")
        self.vector = np.ones(1024, "float32")

    def seconds(self) -> float:
        """A gigabyte's, the best of three passes."""
        return min(self._pass() for _ in range(3)) / self.matrix.nbytes * 1e9

    def _pass(self) -> float:
        start = time.perf_counter()
        self.matrix @ self.vector
        return time.perf_counter() - start
