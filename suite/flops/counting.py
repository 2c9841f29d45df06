"""The operations of a call, and of a model on an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.data.batching import example_lengths, one_batch
from suite.flops.unknown import UnknownError
from suite.task import Encoded, Spec

if TYPE_CHECKING:
    import keras

_COUNTERS = {"tensorflow": "graph", "jax": "jaxpr", "torch": "dispatch"}


def count(function: Callable[..., Any], *inputs: Any) -> float | None:
    """The operations of one call.

    TensorFlow and JAX trace the call and compute nothing; PyTorch runs it.

    Args:
        function: a function of tensors on the current backend, such as a built layer or model.
        inputs: what it is called with: arrays, or dictionaries of them.

    Returns:
        Their number; `None` where it cannot be told, for a loop whose end depends on what it computes, or a kernel that
        cannot be looked into, such as cuDNN's for recurrent layers.

    Example:

    >>> import keras
    >>> layer = keras.layers.Dense(5)
    >>> layer.build((None, 3))
    >>> count(layer, np.ones((2, 3), "float32"))  # 2 * 2 * 3 * 5
    60.0

    Reference: ``torch.utils.flop_counter.FlopCounterMode``.
    """
    import importlib

    import keras

    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    counter = importlib.import_module(f"suite.flops.{_COUNTERS[keras.backend.backend()]}")
    try:
        return float(counter.operations(function, tensors))
    except UnknownError:
        return None


def per_example(model: keras.Model, encoded: Encoded, spec: Spec) -> float | None:
    """The operations of one forward pass over an example of mean length.

    One pass as in training, over an input and its whole target: a model that writes token by token needs others.

    Args:
        model: a built model.
        encoded: the examples; where a long one was cut, each piece is one.
        spec: which axes are padded.
    """
    lengths = example_lengths(encoded, spec)
    length = round(float(lengths.mean()))
    row = int(np.where(lengths <= length, lengths, -1).argmax())  # the longest that fits
    return count(lambda inputs: model(inputs, training=False), one_batch(encoded, spec, [row], length=length))
