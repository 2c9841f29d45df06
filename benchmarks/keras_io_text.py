"""The text classifier of keras.io with a small Transformer, on SST-2, as a peer of our own.

`python -m benchmarks.keras_io_text` trains on SST-2's phrases and prints, as JSON, its accuracy on the test sentences.

The settings are those of https://keras.io/examples/nlp/text_classification_with_transformer/: the 20,000 most frequent
words, texts padded to 200 of them, one post-norm block of width 32 with two heads of 32 features and 32 hidden units,
mean pooling, a dense layer of 20, dropout 0.1, Adam, batches of 32, two epochs. The code is not its own. The example
reads IMDB's reviews, which are longer; `--length 64` gives the longest phrase room and pads no further.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
import typer
from keras import layers, ops

from suite.data.datasets import sst2
from suite.task import Example

WORDS, LENGTH = 20_000, 200
WIDTH, HEADS, HIDDEN, DENSE, DROPOUT = 32, 2, 32, 20, 0.1
BATCH, EPOCHS = 32, 2


class Embedding(layers.Layer):
    """Words and learned positions: (B, T) -> (B, T, D)."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.words = layers.Embedding(WORDS, WIDTH)
        self.positions = layers.Embedding(length, WIDTH)

    def call(self, words: Any) -> Any:
        return self.words(words) + self.positions(ops.arange(ops.shape(words)[-1]))


def build(length: int) -> keras.Model:
    """The compiled model; as in the example, padding is read like a word."""
    words = keras.Input((length,), dtype="int32")
    x = Embedding(length)(words)
    attended = layers.MultiHeadAttention(HEADS, WIDTH)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(DROPOUT)(attended))
    hidden = layers.Dense(WIDTH)(layers.Dense(HIDDEN, activation="relu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(DROPOUT)(hidden))
    x = layers.Dropout(DROPOUT)(layers.GlobalAveragePooling1D()(x))
    x = layers.Dropout(DROPOUT)(layers.Dense(DENSE, activation="relu")(x))
    model = keras.Model(words, layers.Dense(2, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def encode(texts: Sequence[str], known: dict[str, int], length: int) -> np.ndarray:
    """Texts as numbers of their words, (B, T): 0 is padding, which stands before, and 1 a word that is not known."""
    found = np.zeros((len(texts), length), "int32")
    for row, text in zip(found, texts, strict=True):
        numbers = [known.get(word, 1) for word in text.split()][-length:]
        row[length - len(numbers) :] = numbers
    return found


def run(
    length: Annotated[int, typer.Option(min=1)] = LENGTH,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Learn from a few phrases.")] = False,
) -> None:
    """Train, and print the accuracy on test."""
    keras.utils.set_random_seed(seed)
    parts = {name: part[:200] if quick else part for name, part in sst2.load().items()}
    counts = Counter(word for example in parts["train"] for word in example["text"].split())
    known = {word: number for number, (word, _) in enumerate(counts.most_common(WORDS - 2), start=2)}

    def arrays(examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
        targets = np.array([example["label"] == "positive" for example in examples], "int32")
        return encode([example["text"] for example in examples], known, length), targets

    model = build(length)
    validation = arrays(parts["validation"])
    history = model.fit(*arrays(parts["train"]), batch_size=BATCH, epochs=EPOCHS, validation_data=validation, verbose=0)
    x, y = arrays(parts["test"])
    right = model.predict(x, verbose=0).argmax(-1) == y
    found = {
        "accuracy": float(right.mean()),
        "validation": history.history["val_accuracy"],
        "parameters": model.count_params(),
    }
    typer.echo(json.dumps(found))


if __name__ == "__main__":
    typer.run(run)
