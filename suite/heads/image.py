"""Pictures: from pixels to a score for each class.

Shapes: B batch, H height, W width, C channels, T places of the architecture, D its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Architecture, Spec

POOLINGS = {
    "attention": layers.AttentionPooling,
    "first": layers.FirstPooling,
    "max": layers.MaxPooling,
    "mean": layers.MeanPooling,
}
"""How the places of a picture become one vector. `attention` is the sequence pooling of Hassani et al. 2021; `first`
reads a class token."""


def classifier(
    spec: Spec,
    architecture: Architecture,
    *,
    augment: Sequence[keras.layers.Layer],
    patch: int | None,
    pooling: str,
    dropout: float,
) -> keras.Model:
    """An uncompiled model that gives a picture a score for each class.

    ``pixels -> augmentation -> -1 to 1 -> architecture -> pooling -> logits``. An architecture that reads sequences is
    given the rows of the picture from top to bottom, or its patches, each mapped linearly to a vector.

    Args:
        spec: gives the input ``pixels`` (H, W, C), uint8, and the classes.
        architecture: reads the picture or the sequence.
        augment: layers from pixels (B, H, W, C), float32 from 0 to 255, to the same, active in training alone.
        patch: the side of the patches in pixels, for an architecture that reads sequences; None: rows.
        pooling: a name of `POOLINGS`.
        dropout: the fraction of the pooled features dropped in training.

    Returns:
        A model from ``{"pixels": (B, H, W, C)}`` to scores (B, classes), float32, before any softmax.
    """
    pixels = keras.Input(spec.inputs["pixels"].shape, dtype=spec.inputs["pixels"].dtype, name="pixels")
    x = ops.cast(pixels, "float32")
    for layer in augment:
        x = layers.TrainingOnly(layer, dtype="float32", name=f"{layer.name}_in_training")(x)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(x)  # (B, H, W, C)
    if architecture.reads == "image":
        x = architecture.encode(x, None)  # (B, T, D)
    else:
        x = _sequence(x, architecture.width, patch)
        x = architecture.encode(x, ops.ones_like(x[..., 0], dtype="bool"))  # (B, T, D)
    x = POOLINGS[pooling](name="pooling")(x)  # (B, D)
    x = layers.Dropout(dropout, name="output_dropout")(x)
    logits = keras.layers.Dense(len(spec.classes), dtype="float32", name="logits")(x)  # (B, classes)
    return keras.Model({"pixels": pixels}, logits, name="image_classifier")


def _sequence(x: Any, width: int, patch: int | None) -> Any:
    """(B, H, W, C) -> rows (B, H, D), or patches (B, T, D) row by row."""
    if patch is not None:
        return layers.PatchEmbedding(width, patch=patch, pad=True, name="patches")(x)
    rows = keras.layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="rows")(x)
    return keras.layers.Dense(width, name="projection")(rows)
