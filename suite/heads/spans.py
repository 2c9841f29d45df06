"""Finding an answer: where in a text it begins and ends, or that it is not there.

Shapes: B batch, T places of a row, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Architecture, Spec

QUESTION, CONTEXT = 1, 2  # numbers of segments; 0 is padding

_LOWEST = -1e9


def reader(
    spec: Spec,
    *,
    pieces: int,
    marks: int,
    dropout: float,
    token_dropout: float,
    align: bool,
    architecture: Architecture,
) -> keras.Model:
    """An uncompiled model that scores each place of a row as the first and as the last of the answer.

    A row holds a question and a piece of its context. A place is described by its piece, by its segment, its shape and
    what the other text says of the same word, side by side. The architecture reads question and context as one
    sequence. The question is then pooled to one vector, by which each place of the context is judged; and place 0 is
    scored by the question and the strongest features of the context, for it stands for "not in this row".

    Args:
        spec: gives the inputs ``pieces``, ``segments``, ``matches`` and ``shapes``, each (T,) integers of which 0 is
            padding at the end; and ``sizes[name]``, how many numbers each has.
        pieces, marks: the widths of the embeddings of a piece, and of each of the three others.
        dropout: the fraction of features dropped in training, before and after the architecture.
        token_dropout: how often, in training, a piece is taken for an unknown one.
        align: whether each place gets a mean of the question's embeddings, weighted by how well they fit it, before the
            architecture reads it (Chen et al. 2017, section 3.2, "aligned question embedding"). For architectures that
            do not attend from any place to any other.
        architecture: what reads the sequence.

    Returns:
        A model from a mapping of the four inputs to logits (B, 2, T), float32: of the first place and of the last. All
        places but 0 and the context's are about -1e9.
    """
    names = ("pieces", "segments", "matches", "shapes")
    inputs = {name: keras.Input(spec.inputs[name].shape, dtype=spec.inputs[name].dtype, name=name) for name in names}
    mask = ops.not_equal(inputs["segments"], 0)  # (B, T)
    question, context = ops.equal(inputs["segments"], QUESTION), ops.equal(inputs["segments"], CONTEXT)  # (B, T)
    embedded = [
        layers.TokenEmbedding(spec.sizes["pieces"], width=pieces, token_dropout=token_dropout, name="piece_embedding")(
            inputs["pieces"]
        ),
        *(
            layers.TokenEmbedding(spec.sizes[name], width=marks, name=f"{name}_embedding")(inputs[name])
            for name in names[1:]
        ),
    ]
    x = keras.layers.Concatenate(name="features")(embedded)  # (B, T, pieces + 3 marks)
    x = layers.Dropout(dropout, name="feature_dropout")(x)
    x = keras.layers.Dense(architecture.width, name="projection")(x)  # (B, T, D)
    # Of unit size, or blocks with residual paths would drown what their first input says.
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    if align:
        aligned = layers.MultiHeadAttention(1, name="aligned_question")(x, key=x, mask=mask, key_mask=question)
        x = keras.layers.Add(name="with_question")([x, aligned])
    x = architecture.encode(x, mask)  # (B, T, D)
    x = layers.Dropout(dropout, name="output_dropout")(x)
    return keras.Model(inputs, _scores(x, question, context, architecture.width), name="reader")


def _scores(x: Any, question: Any, context: Any, width: int) -> Any:
    """Vectors (B, T, D) -> logits (B, 2, T) of the first and the last place."""
    asked = layers.AttentionPooling(name="question_pooling")(x, mask=question)  # (B, D)
    gate = keras.layers.Dense(width, name="question_gate")(asked)[:, None, :]  # (B, 1, D)
    judged = keras.layers.Concatenate(name="judged")([x, x * gate])  # (B, T, 2 D)
    judged = keras.layers.Dense(width, activation="gelu", name="judgement")(judged)  # (B, T, D)
    logits = keras.layers.Dense(2, dtype="float32", name="logits")(judged)  # (B, T, 2)
    logits = ops.where(context[..., None], logits, ops.full_like(logits, _LOWEST))
    strongest = layers.MaxPooling(name="context_pooling")(judged, mask=context)  # (B, D)
    none = keras.layers.Concatenate(name="none_features")([strongest, asked])  # (B, 2 D)
    none = keras.layers.Dense(2, dtype="float32", name="none_logits")(none)[:, None, :]  # (B, 1, 2)
    return ops.transpose(ops.concatenate([none, logits[:, 1:]], axis=1), (0, 2, 1))  # (B, 2, T)
