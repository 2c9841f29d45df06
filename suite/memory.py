"""Running out of memory: known from other failures on every backend, and how small a batch has to be to fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from suite.config import RunConfig
from suite.errors import InputError, RunError

Fitted = TypeVar("Fitted")
Outcome = TypeVar("Outcome")

NAMES = ("ResourceExhaustedError", "OutOfMemoryError")  # TensorFlow's and PyTorch's
TEXTS = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory")  # of JAX, of drivers, of PyTorch on a CPU


def is_exhausted(error: BaseException | None) -> bool:
    """Whether memory ran out, by the error itself or one that caused it.

    Example:

    >>> is_exhausted(MemoryError()), is_exhausted(ValueError("RESOURCE_EXHAUSTED: ...")), is_exhausted(OSError())
    (True, True, False)
    """
    while error is not None and not isinstance(error, InputError | RunError):
        text = str(error).lower()
        if isinstance(error, MemoryError) or type(error).__name__ in NAMES or any(t.lower() in text for t in TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def train(
    fit: Callable[[int], Fitted],
    try_step: Callable[[int], object],
    config: RunConfig,
    *,
    pieces: int,
    most: int,
    auto_batch: bool,
    say: Callable[[str], None],
) -> Fitted:
    """Trains; where memory runs out, finds what would fit and, if asked to, begins again with that.

    Args:
        fit: trains on batches in so many pieces (see `suite.data.batching`).
        try_step: trains on the largest of so many pieces.
        config: says how large a batch is.
        pieces: to begin with.
        most: the examples of a whole batch, beyond which there is nothing to cut.
        auto_batch: begin again.
        say: is told what was found.

    Raises:
        RunError: memory ran out, and nothing fits, or nobody asked to begin again; the message says what fits.
    """
    while True:
        fitted, failure = _attempt(partial(fit, pieces))
        if fitted is not None:
            return fitted
        tried = size(config, pieces)
        fitting = pieces_that_fit(try_step, least=2 * pieces, most=most)
        if fitting is None:
            raise RunError(f"out of memory with {tried} in a batch, and with fewer, too ({failure})")
        told = f"out of memory with {tried} in a batch; {size(config, fitting)} fit"
        if not auto_batch:
            name, number = _setting(config, fitting)
            raise RunError(
                f"{told}: --auto-batch gathers the gradients of {fitting} such pieces for an update, so that it sees "
                f"the whole batch, and --set {name}={number} makes smaller updates ({failure})"
            )
        say(f"{told}, whose gradients are gathered, {fitting} for an update; training begins again")
        pieces = fitting


def pieces_that_fit(try_step: Callable[[int], object], *, least: int, most: int) -> int | None:
    """Into how many pieces a batch has to be cut, doubling from `least`, so that a step on one of them fits.

    Args:
        try_step: trains on the largest of so many pieces.
        least: the first number to try.
        most: the examples of a whole batch.

    Returns:
        The number; `None` where not even one example fits.

    Example:

    >>> def try_step(pieces):
    ...     if 32 // pieces > 10:
    ...         raise MemoryError
    >>> pieces_that_fit(try_step, least=2, most=32)
    4
    """
    pieces = least
    while pieces < 2 * most:
        if not _attempt(partial(try_step, pieces))[1]:
            return pieces
        pieces *= 2
    return None


def size(config: RunConfig, pieces: int) -> str:
    """How large one of so many pieces of a batch is, in words."""
    name, number = _setting(config, pieces)
    return f"{number:,} {'tokens' if name.endswith('tokens') else 'examples'}"


def _setting(config: RunConfig, pieces: int) -> tuple[str, int]:
    """The setting with which a batch is as large as one of so many pieces, and its value."""
    if config.data.batch_tokens is not None:
        return "data.batch_tokens", max(1, config.data.batch_tokens // pieces)
    return "train.batch_size", -(-config.train.batch_size // pieces)


def _attempt(do: Callable[[], Outcome]) -> tuple[Outcome | None, str]:
    """What it gives; where memory runs out, nothing and the line of the error that says most.

    The error itself is let go, for it holds on to all that was computed.
    """
    try:
        return do(), ""
    except Exception as error:
        if not is_exhausted(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and 'File "' not in line]
        telling = [line for line in lines if "alloc" in line.lower() or "memory" in line.lower()]
        return None, ": ".join([type(error).__name__, *(telling or lines)[:1]])[:200]
