"""Looking inside: the weights of every attention layer of a model as it is.

Shapes: B batch, T query length, S key length, H heads.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class _Capture:
    """What was found, under the path of its layer, and whether only attention to a memory in a cache is wanted."""

    memory: bool
    weights: dict[str, Any] = dataclasses.field(default_factory=dict)


_captured: contextvars.ContextVar[_Capture | None] = contextvars.ContextVar("captured", default=None)


def capture_attention(model: Callable[..., Any], inputs: Any, **call_arguments: Any) -> dict[str, np.ndarray]:
    """Run a model once and return the weights of all its attention layers.

    Works for any model or layer in which attention comes from this library, variants of your own included, without
    building it again. A variant whose kernel never makes the weights, such as the fused one, computes them beside it.

    Args:
        model: a `keras.Model`, a layer, or a function that calls some. It is run eagerly and not in training mode.
        inputs: what the model is called with.
        **call_arguments: passed on to the model.

    Returns:
        For each attention layer, under its path, (B, H, T, S) float32 in the order of the calls. A layer that is
        called several times has entries ``path``, ``path#2`` and so on.

    Raises:
        ValueError: where no attention layer of this library was called.

    Example:

    >>> import numpy as np
    >>> from suite.layers import EncoderBlock, MultiHeadAttention
    >>> block = EncoderBlock(MultiHeadAttention(2, name="attention"), feed_forward=8, name="block")
    >>> weights = capture_attention(block, np.ones((1, 3, 4), "float32"))
    >>> {path: w.shape for path, w in weights.items()}
    {'block/attention': (1, 2, 3, 3)}
    """
    with _capture(_Capture(memory=False)) as found:
        if isinstance(model, keras.layers.Layer):
            call_arguments = {"training": False, **call_arguments}
        model(inputs, **call_arguments)
    if not found:
        raise ValueError(
            f"capture_attention expects a model that calls a MultiHeadAttention of this library. Received: {model}"
        )
    return {path: np.asarray(ops.convert_to_numpy(ops.cast(w, "float32"))) for path, w in found.items()}


def memory_weights() -> contextlib.AbstractContextManager[dict[str, Any]]:
    """While it is entered, the weights of attention to memories in caches go into the dictionary that it gives.

    They are tensors (B, H, T, S) in the order of the calls. It may be entered while a program is traced, where they are
    part of it. Self-attention is left alone, and so is attention to a memory that is not in a `MemoryCache`.
    """
    return _capture(_Capture(memory=True))


@contextlib.contextmanager
def _capture(capture: _Capture) -> Iterator[dict[str, Any]]:
    token = _captured.set(capture)
    try:
        yield capture.weights
    finally:
        _captured.reset(token)


def capturing(*, memory: bool) -> bool:
    """Whether somebody wants the weights of the attention that is being called, which reads a memory's cache or not."""
    capture = _captured.get()
    return capture is not None and (memory or not capture.memory)


def record(path: str, weights: Any) -> None:
    """Keep the weights of one call."""
    capture = _captured.get()
    if capture is not None:
        again = sum(key.split("#")[0] == path for key in capture.weights)
        capture.weights[path if not again else f"{path}#{again + 1}"] = weights
