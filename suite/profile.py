"""Where the time of a run goes: seconds by part, and a trace of a few training steps.

A part is what a run is busy with; parts that lie within another are counted once, for the inner one, so that all of
them add up to the run's seconds.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PARTS: Mapping[str, str] = {
    "reading": "reading the data",
    "framework": "importing the framework",
    "encoding": "what the training data decides, and texts as numbers; once for all models that read the same",
    "build": "building the model",
    "probes": "what it has to pass before it trains",
    "data": "making batches, where training waits for them",
    "compile": "the first training step of each shape",
    "training": "all other training steps; of a model that is no neural network, fitting it",
    "validation": "answers and scores on validation, the compilation of the forward pass among them",
    "test": "answers and scores on test",
    "flops": "counting the operations of a forward pass",
    "saving": "checkpoints and the files of the run's directory",
    "trace": "beginning and writing the trace",
    "other": "all else",
}
"""Each part and what it holds, in the order in which they are shown."""

SKIPPED, TRACED = 2, 6  # steps of an epoch: those before the trace, and its own


class Profile:
    """Counts a run's seconds from when it is made.

    Args:
        trace: the folder for a trace of a few training steps; `None` for none.

    Example:

    >>> profile = Profile()
    >>> with profile.part("validation"):
    ...     with profile.part("saving"):
    ...         pass
    >>> sorted(profile.seconds())
    ['other', 'saving', 'validation']
    """

    def __init__(self, trace: Path | None = None):
        self.trace = trace
        self.ahead = 0.0  # seconds of making batches while the model computes
        self.traced: tuple[int, int, int] | None = None  # epoch, first and last step
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._now = "other"
        self._at = time.perf_counter()

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens within counts as this part."""
        outer, self._now = self._turn(), name
        try:
            yield
        finally:
            self._turn()
            self._now = outer

    def move(self, seconds: float, part: str) -> None:
        """So many seconds of the part that is under way are counted as another."""
        self._seconds[self._now] -= seconds
        self._seconds[part] += seconds

    def _turn(self) -> str:
        now = time.perf_counter()
        self._seconds[self._now] += now - self._at
        self._at = now
        return self._now

    def seconds(self) -> dict[str, float]:
        """Seconds by part, up to now, of those that took any; their sum is the run's time."""
        self._turn()
        return {name: seconds for name, seconds in self._seconds.items() if seconds}

    def to_json(self) -> dict[str, Any]:
        """What `profile.json` holds: all seconds, those of each part, and which steps were traced."""
        parts = self.seconds()
        epoch, first, last = self.traced or (None, None, None)
        return {
            "seconds": round(sum(parts.values()), 4),
            "parts": {name: round(seconds, 4) for name, seconds in parts.items()},
            "batches_made_ahead_seconds": round(self.ahead, 4),
            "trace": None if self.traced is None else {"epoch": epoch, "first_step": first, "last_step": last},
        }


class Window:
    """Traces one window of steps in which nothing compiles: by default steps 3 to 8 of the first epoch that allows it.

    Args:
        profile: says where the trace goes; traces nothing where it has no folder, or has a trace.
        lengths: the shapes of the epoch's batches, in their order.
        epoch: from 1.
    """

    def __init__(self, profile: Profile, lengths: Sequence[int], epoch: int):
        self.profile = profile
        self.lengths = lengths
        self.epoch = epoch
        self.end = 0
        self.stop: Callable[[], None] | None = None

    def before(self, step: int, known: set[int]) -> None:
        """To be called before a step (from 0), and at the end of the epoch, with the shapes that are compiled."""
        if self.profile.trace is None or self.profile.traced:
            return
        window = self.lengths[step : step + TRACED]
        enough = min(TRACED, max(1, len(self.lengths) - SKIPPED))
        if len(window) >= enough and known.issuperset(window) and (step >= SKIPPED or self.epoch > 1):
            with self.profile.part("trace"):
                self.stop = _start(self.profile.trace)
            self.end = step + len(window)
            self.profile.traced = self.epoch, step + 1, self.end

    def after(self, step: int) -> None:
        """To be called after a step (from 0)."""
        if self.stop is not None and step + 1 >= self.end:
            self.close()

    def close(self) -> None:
        """Writes the trace that is under way, if one is."""
        if self.stop is not None:
            with self.profile.part("trace"):
                self.stop()
            self.stop = None


def _start(folder: Path) -> Callable[[], None]:
    """Begins a trace with the backend's own profiler; what it returns writes it.

    TensorFlow's is for TensorBoard and its profile plugin, PyTorch's for Perfetto, and JAX writes both.
    """
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.profiler.experimental.start(str(folder))
        return tf.profiler.experimental.stop
    if keras.backend.backend() == "jax":
        import jax

        jax.profiler.start_trace(str(folder))
        return jax.profiler.stop_trace
    from torch import profiler

    from suite.backend import quiet_standard_error

    tracing = profiler.profile()
    with quiet_standard_error():
        tracing.start()

    def stop() -> None:
        with quiet_standard_error():
            tracing.stop()
        tracing.export_chrome_trace(str(folder / "trace.json"))

    return stop
