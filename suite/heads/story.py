"""Answering a question about a story: sentences become vectors, the question is the last of them.

Shapes: B batch, S sentences, J words of a sentence, E width of a word, K roles, T length, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Architecture, Spec


def reader(
    spec: Spec,
    architecture: Architecture,
    *,
    read: Literal["sentences", "words"],
    words: int,
    roles: int,
    asked: bool,
    dropout: float,
    token_dropout: float,
) -> keras.Model:
    """An uncompiled model that gives each possible answer a score.

    Args:
        spec: gives the input ``words`` (S, J), integers of which 0 is padding and 1 the unknown, a row a sentence in
            the order of the story, with the question after them; ``sizes["words"]``, and the classes.
        architecture: works on the sequence of sentences or words, the question being its end; the answer is read there.
        read: whether a place of that sequence is a sentence, whose words `layers.Roles` sums up, or a word.
        words: the width of a word's vector.
        roles: K of `layers.Roles`.
        asked: whether each place knows what is asked before the architecture reads it: a linear map of the question is
            added there, and a sentence's roles are compared with the question's.
        dropout: the fraction of features dropped in training, before and after the architecture.
        token_dropout: how often, in training, a word is taken for an unknown one.

    Returns:
        A model from ``{"words": (B, S, J)}`` to scores (B, classes), float32, before any softmax.
    """
    inputs = keras.Input(spec.inputs["words"].shape, dtype="int32", name="words")
    real = ops.not_equal(inputs, 0)  # (B, S, J)
    told = ops.any(real, axis=-1)  # (B, S)
    vectors = layers.TokenEmbedding(
        spec.sizes["words"], width=words, token_dropout=token_dropout, scale=True, name="word_embedding"
    )(inputs)
    vectors = layers.Dropout(dropout, name="word_dropout")(vectors)  # (B, S, J, E)
    if read == "sentences" or asked:
        found = layers.Roles(roles, name="roles")(vectors, mask=real)  # (B, S, K, E)
    question = last(found, told) if asked else None  # (B, K, E)
    if read == "words":
        x = keras.layers.Reshape((-1, words), name="words_in_a_row")(vectors)  # (B, S J, E)
        mask = keras.layers.Reshape((-1,), name="real_words")(real)  # (B, S J)
    else:
        x, mask = found, told
        if asked:
            matches = ops.einsum("bske,bqe->bskq", found, question) / words**0.5  # (B, S, K, K)
            x = keras.layers.Concatenate(name="roles_and_matches")([found, matches])  # (B, S, K, E + K)
        x = keras.layers.Reshape((-1, roles * x.shape[-1]), name="sentences")(x)
    x = keras.layers.Dense(architecture.width, name="projection")(x)  # (B, T, D)
    if asked:
        about = keras.layers.Dense(architecture.width, name="question")(keras.layers.Flatten()(question))  # (B, D)
        x = x + about[:, None]
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = last(architecture.encode(x, mask), mask)  # (B, D)
    x = layers.Dropout(dropout, name="output_dropout")(x)
    scores = keras.layers.Dense(len(spec.classes), dtype="float32", name="scores")(x)  # (B, classes)
    return keras.Model({"words": inputs}, scores, name="reader")


def last(x: Any, mask: Any) -> Any:
    """(B, T, ...) and the real places (B, T) -> what stands at the last real one, (B, ...)."""
    number = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # (B, T), counted from 1
    # KerasTensor has no ==.
    here = ops.logical_and(mask, ops.equal(number, ops.max(number, axis=1, keepdims=True)))
    for _ in x.shape[2:]:
        here = here[..., None]
    return ops.sum(ops.where(here, x, ops.zeros_like(x)), axis=1)
