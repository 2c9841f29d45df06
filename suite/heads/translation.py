"""Translating: a source is read whole, and its translation is written token by token.

Shapes: B batch, S source tokens, T target tokens, D width, N vocabulary.
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

_programs: weakref.WeakKeyDictionary[keras.Model, dict[str, Callable[..., Any]]] = weakref.WeakKeyDictionary()


def translator(spec: Spec, *, dropout: float, token_dropout: float, architecture: Architecture) -> keras.Model:
    """An uncompiled model that gives the logits of each target token from the source and the target tokens before it.

    One table of embeddings serves the source, the target and the output (Press and Wolf 2017, "three-way tying"). The
    architecture's encoder makes a memory of the source; its decoder, which is causal, reads the memory and the target.
    The layer ``"language_model"``, a `suite.layers.LanguageModel`, is the target's half by itself; `memory` is the
    source's.

    Args:
        spec: gives the inputs ``source``, (S,) integers of which 0 is padding at the end, and ``target``, (T,) integers
            that begin with the token that starts a translation; and ``sizes["pieces"]``, N.
        dropout: the fraction of the source's features dropped in training before the encoder.
        token_dropout: how often, in training, a token of source or target is taken for an unknown one.
        architecture: what reads the source and writes the target.

    Returns:
        A model from a mapping of the two inputs to logits (B, T, N), float32: those at t are of target token t + 1.

    Raises:
        ValueError: where the architecture has no decoder.
    """
    if architecture.decode is None:
        raise ValueError("a translator expects an architecture with a decoder. Received: one without")
    source, target = (keras.Input(spec.inputs[name].shape, dtype="int32", name=name) for name in ("source", "target"))
    mask = ops.not_equal(source, 0)  # (B, S)
    embedding = layers.TokenEmbedding(
        spec.sizes["pieces"], width=architecture.width, token_dropout=token_dropout, scale=True, name="embedding"
    )
    x = layers.Dropout(dropout, name="source_dropout")(embedding(source))  # (B, S, D)
    x = architecture.encode(x, mask)  # (B, S, D)
    x = keras.layers.Identity(name="memory")(x)
    decoder = layers.LanguageModel(embedding, architecture.decode(True), name="language_model")
    logits = decoder(target, x, memory_mask=mask)  # (B, T, N)
    return keras.Model({"source": source, "target": target}, logits, name="translator")


def memory(model: keras.Model, source: np.ndarray) -> Any:
    """What a translator's decoder reads: source tokens (B, S) -> (B, S, D)."""
    programs = _programs.setdefault(model, {})
    if "memory" not in programs:
        half = keras.Model(model.get_layer("source").output, model.get_layer("memory").output, name="encoder")
        encode = compiled(half, lambda half, source: half(source, training=False))
        # The program holds its layer weakly, and nobody else holds this one.
        programs["memory"] = lambda source, half=half: encode(source)
    return programs["memory"](ops.convert_to_tensor(source, "int32"))


def nats(model: keras.Model, source: np.ndarray, target: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The negative log-probability of each right token, (B, T), given the source and the target tokens before it.

    Args:
        model: a translator.
        source: (B, S).
        target: (B, T), which begins with the token that starts a translation.
        right: (B, T), the tokens that follow those of `target`.
    """
    programs = _programs.setdefault(model, {})
    if "nats" not in programs:
        programs["nats"] = compiled(model, _nats)
    tensors = [ops.convert_to_tensor(tokens, "int32") for tokens in (source, target, right)]
    return ops.convert_to_numpy(programs["nats"](*tensors))


def _nats(model: keras.Model, source: Any, target: Any, right: Any) -> Any:
    logits = model({"source": source, "target": target}, training=False)  # (B, T, N)
    chosen = ops.take_along_axis(logits, right[..., None], axis=-1)[..., 0]  # (B, T)
    return ops.logsumexp(logits, axis=-1) - chosen
