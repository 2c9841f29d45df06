"""Answering a question about a story: sentences become vectors, the question is the last of them.

Shapes: B batch, S sentences, J words of a sentence, E width of a word, K roles, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Architecture, Spec


@keras.saving.register_keras_serializable(package="suite")
class Roles(keras.layers.Layer):
    """Reads a sentence by asking each of K learned questions of its words: who, what, where ...

    For role k, a mean of the words' vectors weighted by ``softmax over j of (w_j . u_k + p_jk)``: u_k says which words
    fill the role, p_jk at which place of a sentence they stand. So "the hall is north of the office" and "the office is
    north of the hall" differ, which no sum of words can tell.

    Args:
        roles: K.

    Call arguments:
        inputs: (B, S, J, E) floating point.
        mask: (B, S, J) booleans, True at words. A sentence without any gives a vector of zeros.

    Returns:
        (B, S, K E), the roles side by side.
    """

    def __init__(self, roles: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.roles = roles

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs (B, S, J, E)."""
        words, width = input_shape[-2:]
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.content = self.add_weight(name="content", shape=(width, self.roles), initializer="glorot_uniform")
        self.place = self.add_weight(name="place", shape=(words, self.roles), initializer=normal)

    def call(self, inputs: Any, *, mask: Any) -> Any:
        batch, sentences = ops.shape(inputs)[:2]
        scores = ops.matmul(inputs, self.content) + self.place  # (B, S, J, K)
        wide = keras.backend.result_type(scores.dtype, "float32")
        scores = ops.where(mask[..., None], ops.cast(scores, wide), ops.cast(-1e30, wide))
        weights = ops.where(mask[..., None], ops.softmax(scores, axis=2), ops.cast(0.0, wide))  # (B, S, J, K)
        found = ops.matmul(ops.swapaxes(ops.cast(weights, inputs.dtype), 2, 3), inputs)  # (B, S, K, E)
        return ops.reshape(found, (batch, sentences, self.roles * inputs.shape[-1]))  # (B, S, K E)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "roles": self.roles}


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
        read: whether a place of that sequence is a sentence, whose words `Roles` sums up, or a word.
        words: the width of a word's vector.
        roles: K of `Roles`.
        asked: whether a linear map of the question is added at each place, so that the architecture knows from the
            beginning what is asked.
        dropout: the fraction of features dropped in training, before and after the architecture.
        token_dropout: how often, in training, a word is taken for an unknown one.

    Returns:
        A model from ``{"words": (B, S, J)}`` to scores (B, classes), float32, before any softmax.
    """
    inputs = keras.Input(spec.inputs["words"].shape, dtype="int32", name="words")
    real = ops.not_equal(inputs, 0)  # (B, S, J)
    told = ops.any(real, axis=-1)  # (B, S)
    embedding = layers.TokenEmbedding(
        spec.sizes["words"], width=words, token_dropout=token_dropout, scale=True, name="word_embedding"
    )
    vectors = keras.layers.Dropout(dropout, name="word_dropout")(embedding(inputs))  # (B, S, J, E)
    if read == "sentences" or asked:
        sentences = Roles(roles, name="roles")(vectors, mask=real)  # (B, S, K E)
    if read == "sentences":
        x, mask = sentences, told
    else:
        x, mask = keras.layers.Reshape((-1, words), name="row")(vectors), keras.layers.Reshape((-1,))(real)
    x = keras.layers.Dense(architecture.width, name="projection")(x)  # (B, T, D)
    if asked:
        question = keras.layers.Dense(architecture.width, name="question")(last(sentences, told))  # (B, D)
        x = x + question[:, None]
    x = last(architecture.encode(x, mask), mask)  # (B, D)
    x = keras.layers.Dropout(dropout, name="output_dropout")(x)
    scores = keras.layers.Dense(len(spec.classes), dtype="float32", name="scores")(x)  # (B, classes)
    return keras.Model({"words": inputs}, scores, name="reader")


def last(x: Any, mask: Any) -> Any:
    """(B, T, D) and the real places (B, T) -> what stands at the last real one, (B, D)."""
    number = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # (B, T), counted from 1
    here = ops.logical_and(mask, number == ops.max(number, axis=1, keepdims=True))
    return ops.sum(ops.where(here[..., None], x, ops.zeros_like(x)), axis=1)
