"""A text classifier by this library, with Keras's own layers and with KerasHub's, trained by `Model.fit`.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks import steps
from benchmarks.classifier import CLIP_NORM, EPSILON, LEARNING_RATE, WEIGHT_DECAY, Size, TextBatch
from benchmarks.keras_peer import BLOCKS
from benchmarks.peer import Peer
from suite import backend, layers, optimizer
from suite.config import TrainConfig
from suite.losses import CrossEntropy
from suite.models import rnn
from suite.models.rnn import recurrent


class KerasClassifier(Peer):
    """A classifier made of Keras layers.

    Args:
        name: ``"suite"``, ``"suite_remat"`` and ``"suite_chunked"``, which hold less in memory, ``"keras"`` or
            ``"keras_hub"``, with ``"_xla"`` behind it where XLA compiles the step on TensorFlow, too.
    """

    def __init__(self, name: str) -> None:
        self.name, self.xla = name.removesuffix("_xla"), name.endswith("_xla")
        self.ours = name.startswith("suite")
        if self.ours:  # TensorFlow as a run of ours has it
            backend.prepare(precision="float32")

    def device(self) -> str:
        return steps.device()

    def prepare(self, size: Size, batches: Sequence[TextBatch]) -> int:
        """Compile, and train once on batches of each shape. The number of weights."""
        keras.backend.clear_session()
        keras.config.set_dtype_policy("float32" if size.precision == "float32" else f"mixed_{size.precision}")
        keras.utils.set_random_seed(0)
        self.model = _classifier(self.name, size)
        jit = self.xla or keras.backend.backend() == "jax"
        if self.ours:
            train = TrainConfig(learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, clip_norm=CLIP_NORM, jit=jit)
            optimizer.compile_model(self.model, CrossEntropy(), train, steps=10_000)
        else:
            adamw = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, global_clipnorm=CLIP_NORM)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.model.compile(optimizer=adamw, loss=loss, jit_compile=jit)
        return self.start_training(batches)

    def start_training(self, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> int:
        """Train the compiled model once on all batches. The number of weights."""
        self.feed = Feed(batches)
        self.epoch()
        return self.model.count_params()

    def epoch(self) -> float:
        """Seconds of all batches after the first, whose end is waited for before the clock starts."""
        ends = self.ends()
        return ends[-1] - ends[0]

    def ends(self) -> list[float]:
        """When the step of each batch ended, in seconds."""
        watch = Watch()
        self.model.fit(self.feed, callbacks=[watch], shuffle=False, verbose=0)
        return watch.ends

    def product(self, precision: str, size: int) -> steps.Step:
        a = ops.ones((size, size), precision)
        return steps.compiled(ops.matmul, a, a)

    def wait(self, result: Any) -> None:
        steps.wait(result)


class Feed(keras.utils.PyDataset):
    """Batches that are made already."""

    def __init__(self, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batches[index]


class Watch(keras.callbacks.Callback):
    """Notes when each step ended, and reads its loss, as whoever watches training does."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        float(logs["loss"])
        self.ends.append(time.perf_counter())


def _classifier(name: str, size: Size) -> keras.Model:
    tokens = keras.Input((None,), dtype="int32")
    mask = ops.not_equal(tokens, 0)  # (B, T)
    ours = name.startswith("suite")
    own = layers if ours else keras.layers
    if ours:
        x = layers.TokenEmbedding(size.vocabulary, width=size.width)(tokens)  # (B, T, D)
        x = x if size.cell else layers.Learned(size.length)(x)
    else:
        x = keras.layers.Embedding(size.vocabulary, size.width)(tokens)  # (B, T, D)
        x = x if size.cell else x + Positions(size.length)(x)
    x = own.Dropout(size.dropout, name="input_dropout")(x)
    if size.cell:
        x = _recurrent(name, size)(x, mask)
    elif name == "suite_remat":
        x = layers.Encoder(size.depth, BLOCKS["suite"][0](size.block()), remat=True)(x, mask=mask)  # (B, T, D)
    else:
        make, _, mask_name = BLOCKS[name]
        for _ in range(size.depth):
            x = make(size.block())(x, **{mask_name: mask})  # (B, T, D)
        x = own.LayerNormalization(epsilon=EPSILON)(x)
    pooling = layers.MeanPooling() if ours else keras.layers.GlobalAveragePooling1D()
    pooled = own.Dropout(size.dropout, name="output_dropout")(pooling(x, mask=mask))  # (B, D)
    return keras.Model(tokens, keras.layers.Dense(size.classes, dtype="float32")(pooled))


def _recurrent(name: str, size: Size) -> Callable[[Any, Any], Any]:
    """Layers that read in both directions, the later ones with a residual path in ours."""
    if name == "suite":
        return recurrent(size.cell or "LSTM", rnn.Config(width=size.width, depth=size.depth, dropout=size.dropout))

    def encode(x: Any, mask: Any) -> Any:
        for _ in range(size.depth):
            layer = getattr(keras.layers, size.cell)(size.width // 2, return_sequences=True)
            x = keras.layers.Bidirectional(layer)(keras.layers.Dropout(size.dropout)(x), mask=mask)
        return x

    return encode


class Positions(keras.layers.Layer):
    """A learned vector for each position, (1, T, D)."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def build(self, shape: Any) -> None:
        """Make the table for (B, T, D)."""
        self.table = self.add_weight(shape=(self.length, shape[-1]), initializer="random_normal")

    def call(self, x: Any) -> Any:
        return self.table[None, : ops.shape(x)[1]]
