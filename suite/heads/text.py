"""Text classification: one score for each class of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Architecture, Spec

POOLINGS = {
    "mean": layers.MeanPooling,
    "max": layers.MaxPooling,
    "attention": layers.AttentionPooling,
    "first": layers.FirstPooling,
}
"""How a sequence becomes one vector. `first` reads a class token, which is put in front of the text for it."""


def classifier(
    spec: Spec,
    architecture: Architecture,
    *,
    embedding: int,
    pooling: Sequence[str],
    dropout: float,
    embedding_dropout: float,
    token_dropout: float,
) -> keras.Model:
    """An uncompiled model that gives a text a score for each class.

    The text's pieces become vectors, the architecture reads them, pooling makes one vector of them, and a linear map
    gives the scores.

    Args:
        spec: gives the input ``tokens`` (T,), integers of which 0 is padding at the end and 1 the unknown;
            ``sizes["tokens"]``, how many there are; and the classes.
        architecture: reads the sequence.
        embedding: the width of a piece's vector, which a linear map brings to the architecture's width.
        pooling: names of `POOLINGS`; what several give stands side by side.
        dropout: the fraction of the pooled features dropped in training.
        embedding_dropout: the fraction of the features of pieces dropped in training.
        token_dropout: how often, in training, a piece is taken for an unknown one.

    Returns:
        A model from ``{"tokens": (B, T)}`` to scores (B, classes), float32, before any softmax.
    """
    tokens = keras.Input(spec.inputs["tokens"].shape, dtype=spec.inputs["tokens"].dtype, name="tokens")
    mask = ops.not_equal(tokens, 0)  # (B, T)
    x = layers.TokenEmbedding(
        spec.sizes["tokens"], width=embedding, token_dropout=token_dropout, name="token_embedding"
    )(tokens)  # (B, T, embedding)
    x = layers.Dropout(embedding_dropout, name="embedding_dropout")(x)
    x = keras.layers.Dense(architecture.width, name="projection")(x)  # (B, T, width)
    if "first" in pooling:
        class_token = layers.ClassToken(name="class_token")
        x, mask = class_token(x), class_token.extend_mask(mask)  # (B, T + 1, width), (B, T + 1)
    x = architecture.encode(x, mask)  # (B, T, width)
    pooled = [POOLINGS[name](name=f"{name}_pooling")(x, mask=mask) for name in pooling]  # (B, width) each
    x = _side_by_side(pooled)  # (B, poolings * width)
    x = layers.Dropout(dropout, name="output_dropout")(x)
    logits = keras.layers.Dense(len(spec.classes), dtype="float32", name="logits")(x)  # (B, classes)
    return keras.Model({"tokens": tokens}, logits, name="text_classifier")


def _side_by_side(vectors: Sequence[Any]) -> Any:
    return vectors[0] if len(vectors) == 1 else keras.layers.Concatenate(name="pooled")(vectors)
