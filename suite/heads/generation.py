"""Predicting the next token: a language model, and what each token of a text costs it.

Shapes: R rows, T tokens of a row, N tokens of a text, V vocabulary.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from suite import layers
from suite.backend import compiled

if TYPE_CHECKING:
    from suite.task import Architecture, Spec

NAME = "language_model"

_AT_ONCE = 1 << 14  # places that are read together, fewer where the vocabulary is large
_LOGITS = 1 << 25  # logits that may exist at a time

_programs: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()


def generator(spec: Spec, *, token_dropout: float, scale: bool, architecture: Architecture) -> keras.Model:
    """An uncompiled model that gives each token's logits for the next.

    The same table holds the vectors that are read and those that are compared with what the architecture gives. There
    is no mask: rows are padded at their end alone, where nothing that counts can see it.

    Args:
        spec: gives the input ``tokens``, (T,) integers, and ``sizes["tokens"]``, how many there are.
        token_dropout: how often, in training, a token is read as the unknown one.
        scale: whether vectors are multiplied by the root of their width when they are read.
        architecture: has a decoder.

    Returns:
        A model from ``{"tokens": (R, T)}`` to logits (R, T, V), float32. Its layer `NAME` is a
        `suite.layers.LanguageModel`, for `suite.decoding`.

    Raises:
        ValueError: the architecture has no decoder.
    """
    if architecture.decode is None:
        raise ValueError("A language model expects an architecture with a decoder. Received: one without")
    array = spec.inputs["tokens"]
    tokens = keras.Input(array.shape, dtype=array.dtype, name="tokens")
    embedding = layers.TokenEmbedding(
        spec.sizes["tokens"], width=architecture.width, token_dropout=token_dropout, scale=scale, name="embedding"
    )
    model = layers.LanguageModel(embedding, architecture.decode(False), name=NAME)
    return keras.Model({"tokens": tokens}, model(tokens), name="generator")


def nats(model: Any, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """``-log p`` of each target after the tokens up to it, (R, T) float32.

    Computed within one compiled step, so that probabilities of all tokens exist for these rows alone.

    Args:
        model: called as a `LanguageModel` is.
        tokens: (R, T) integers.
        targets: (R, T) integers, the tokens that follow each.
    """
    if model not in _programs:
        _programs[model] = compiled(model, _nats)
    tensors = (ops.convert_to_tensor(np.asarray(each, "int32")) for each in (tokens, targets))
    return np.asarray(ops.convert_to_numpy(_programs[model](*tensors)))


def _nats(model: Any, tokens: Any, targets: Any) -> Any:
    logits = ops.cast(model(tokens, training=False), "float32")  # (R, T, V)
    chosen = ops.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]  # (R, T)
    return ops.logsumexp(logits, axis=-1) - chosen


def read(
    model: Any, tokens: np.ndarray, targets: np.ndarray, *, context: int, overlap: int
) -> tuple[np.ndarray, np.ndarray]:
    """What each token of a long row costs, read in windows side by side.

    Args:
        model: called as a `LanguageModel` is.
        tokens: (N,) integers.
        targets: (N,) the tokens that follow each.
        context: tokens of a window.
        overlap: tokens that a window has in common with the one before. Their targets are not scored again: they are
            context for the others.

    Returns:
        The nats of each target, (N,) float32, and how many tokens of context each had, (N,), from 1 to `context`.
    """
    context = min(context, len(tokens))
    # A window that would score nothing new is left out; the last one may reach over the end.
    first = np.arange(0, max(1, len(tokens) - overlap), context - overlap if context > overlap else context)
    index = first[:, None] + np.arange(context)  # (windows, T)
    inside = np.minimum(index, len(tokens) - 1)
    rows = max(1, min(len(first), min(_AT_ONCE, _LOGITS // model.embedding.vocabulary) // context))
    parts = []
    for start in range(0, len(first), rows):
        chosen = inside[np.minimum(np.arange(start, start + rows), len(first) - 1)]  # the last one fills the batch
        parts.append(nats(model, tokens[chosen], targets[chosen])[: len(first) - start])
    new = (index < len(tokens)) & ((np.arange(context) >= overlap) | (first == 0)[:, None])
    place = np.broadcast_to(np.arange(1, context + 1), index.shape)
    return np.concatenate(parts)[new], place[new]
