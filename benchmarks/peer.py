"""What the processes of a benchmark serve.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import memory


class Peer:
    """What a process serves: `prepare` a case, then `seconds` of one repeat as often as asked."""

    run: Callable[[], Any]

    def start(self, run: Callable[[], Any]) -> None:
        """Warm up, and choose how many runs make a repeat, so that it lasts 20 ms at least."""
        self.run, self.calls = run, 1
        self.seconds()
        self.calls = max(1, round(0.02 / self.seconds()))

    def seconds(self) -> float:
        """Of one run, as the mean of a repeat's."""
        start = time.perf_counter()
        for _ in range(self.calls):
            result = self.run()
        self.wait(result)
        return (time.perf_counter() - start) / self.calls

    def peak(self, precision: str, size: int) -> float:
        """FLOPs per second of a product of square matrices here."""
        self.start(self.product(precision, size))
        return 2 * size**3 / min(self.seconds() for _ in range(5))

    def peak_memory(self, *arguments: Any) -> tuple[int, Any]:
        """Bytes that preparing takes at its peak, above what was there before, and what it gives."""
        result: Any = None

        def prepare() -> None:
            nonlocal result
            result = self.prepare(*arguments)

        return memory.peak_above(prepare), result

    def device(self) -> str:
        """The accelerator's name, or "cpu"."""
        raise NotImplementedError

    def prepare(self, *arguments: Any) -> Any:
        """Compile and warm up. What is known of it."""
        raise NotImplementedError

    def product(self, precision: str, size: int) -> Callable[[], Any]:
        """A product of two square matrices."""
        raise NotImplementedError

    def wait(self, result: Any) -> None:
        """Return when the device has computed the result."""
        raise NotImplementedError
