"""Tagging: a score for each class at each word of a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Spec


def tagger(
    spec: Spec,
    *,
    words: int,
    characters: int,
    shapes: int,
    dropout: float,
    token_dropout: float,
    width: int,
    encoder: Callable[[Any, Any], Any],
) -> keras.Model:
    """An uncompiled model that gives each word of a sentence a score for each class.

    A word is its own embedding, one of its shape (such as Xxxx), and one read from its characters, side by side. The
    architecture turns the sequence of words into a sequence of the same length, and a linear map gives the scores.

    Args:
        spec: gives the inputs ``words`` (T,), ``shapes`` (T,) and ``characters`` (T, C), integers of which 0 is
            padding at the end and 1 the unknown; ``sizes[name]``, how many numbers each has; and the classes.
        words, characters, shapes: the widths of the three embeddings.
        dropout: the fraction of features dropped in training, before and after the architecture.
        token_dropout: how often, in training, a word is taken for an unknown one.
        width: the width that the architecture works in.
        encoder: the architecture: x (B, T, width) and a mask (B, T), True at words -> (B, T, width).

    Returns:
        A model from a mapping of the three inputs to scores (B, T, classes), float32, before any softmax. Where words
        are padding all features are taken for zero, so the scores there are the last layer's bias. The scores carry
        no implicit Keras mask: loss and metrics leave padding out by the sample weights that they are given.
    """
    inputs = {
        name: keras.Input(spec.inputs[name].shape, dtype=spec.inputs[name].dtype, name=name)
        for name in ("words", "shapes", "characters")
    }
    mask = ops.not_equal(inputs["words"], 0)  # (B, T)
    embedded = [
        layers.TokenEmbedding(spec.sizes["words"], width=words, token_dropout=token_dropout, name="word_embedding")(
            inputs["words"]
        ),
        layers.TokenEmbedding(spec.sizes["shapes"], width=shapes, name="shape_embedding")(inputs["shapes"]),
        layers.CharacterEmbedding(spec.sizes["characters"], width=characters, name="character_embedding")(
            inputs["characters"]
        ),
    ]
    x = keras.layers.Concatenate(name="features")(embedded)  # (B, T, words + shapes + characters)
    x = layers.Dropout(dropout, name="feature_dropout")(x)
    x = keras.layers.Dense(width, name="projection")(x)  # (B, T, width)
    x = encoder(x, mask)  # (B, T, width)
    x = ops.where(mask[..., None], x, ops.zeros_like(x))
    x = layers.Dropout(dropout, name="output_dropout")(x)
    logits = keras.layers.Dense(len(spec.classes), dtype="float32", name="logits")(x)  # (B, T, classes)
    return keras.Model(inputs, logits, name="tagger")
