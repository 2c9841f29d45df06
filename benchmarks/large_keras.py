"""Large models of this library's layers, trained by `Model.fit`.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

import keras

from benchmarks.keras_classifier import KerasClassifier
from benchmarks.large import PATCH, Large
from suite import layers, optimizer
from suite.config import TrainConfig
from suite.losses import CrossEntropy


class LargeKeras(KerasClassifier):
    """A large model of ours."""

    def prepare_large(self, size: Large, steps: int) -> int:
        """Compile, and train for so many steps. The number of weights."""
        keras.backend.clear_session()
        keras.config.set_dtype_policy("float32" if size.precision == "float32" else f"mixed_{size.precision}")
        keras.utils.set_random_seed(0)
        self.model = _model(size)
        optimizer.compile_model(self.model, CrossEntropy(), TrainConfig(), steps=10_000)
        return self.start_training([size.arrays()] * steps)


def _model(size: Large) -> keras.Model:
    if size.model == "vit":
        inputs = keras.Input((size.side, size.side, 3))
        x = layers.PatchEmbedding(size.width, patch=PATCH)(inputs)  # (B, T, D)
    else:
        inputs = keras.Input((size.length,), dtype="int32")
        words = size.outputs if size.model == "gpt2" else size.vocabulary
        embedding = layers.TokenEmbedding(words, width=size.width)
        x = embedding(inputs)  # (B, T, D)
    x = layers.Learned(size.length)(x)
    causal = size.model == "gpt2"
    for _ in range(size.depth):
        feed_forward = layers.FeedForward(size.hidden, activation="gelu_tanh")
        x = layers.EncoderBlock(layers.FusedAttention(size.heads), feed_forward=feed_forward)(x, causal=causal)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    if causal:
        return keras.Model(inputs, embedding.logits(x))  # (B, T, V)
    return keras.Model(inputs, keras.layers.Dense(size.outputs, dtype="float32")(layers.MeanPooling()(x)))
