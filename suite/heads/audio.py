"""Sounds: from a waveform to a score for each class.

Shapes: B batch, S samples, F frames, M mel bands, T steps of the architecture, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import keras
from keras import ops

from suite import layers

if TYPE_CHECKING:
    from suite.task import Spec

POOLINGS = {"attention": layers.AttentionPooling, "max": layers.MaxPooling, "mean": layers.MeanPooling}


def classifier(
    spec: Spec,
    *,
    rate: int,
    mels: int,
    window: int,
    stride: int,
    halvings: int,
    pooling: Literal["attention", "max", "mean"],
    dropout: float,
    augment: list[keras.layers.Layer],
    cover: keras.layers.Layer | None,
    width: int,
    encode: Callable[[Any, Any], Any],
) -> keras.Model:
    """An uncompiled model that takes waveforms: all that turns them into features is part of it.

    ``waveform -> augmentation -> log-mel -> covering -> convolutions -> architecture -> pooling -> logits``; what
    augments and covers is active in training alone. Samples beyond a sound's length are never read.

    Args:
        spec: gives the inputs ``waveform`` (S,), float32, and ``length`` (), how many of its samples are real; and the
            classes.
        rate: samples a second.
        mels: M.
        window, stride: of the features, in samples.
        halvings: how many times two convolutions halve the number of frames; T = F / 2^halvings.
        pooling: how the steps become one vector.
        dropout: the fraction of features dropped in training, before the architecture and before the logits.
        augment: layers (B, S) with a mask -> (B, S), for training.
        cover: a layer (B, F, M) with a mask -> (B, F, M), for training.
        width: the width that the architecture works in.
        encode: the architecture: x (B, T, width) and a mask (B, T), True where it is real -> (B, T, width).

    Returns:
        A model from a mapping of the two inputs to logits (B, classes), float32.
    """
    inputs = {
        name: keras.Input(spec.inputs[name].shape, dtype=spec.inputs[name].dtype, name=name)
        for name in ("waveform", "length")
    }
    waveform = inputs["waveform"]
    place = ops.cumsum(ops.ones_like(waveform, dtype="int32"), axis=1)  # (B, S) 1, 2, 3 ...
    mask = place <= inputs["length"][:, None]
    waveform = ops.where(mask, waveform, ops.zeros_like(waveform))
    for layer in augment:
        waveform = layer(waveform, mask=mask)
    features = layers.LogMel(mels, rate=rate, window=window, stride=stride, normalize=False, name="log_mel")
    x = features(waveform, mask=mask)  # (B, F, M)
    mask = features.frame_mask(mask)  # (B, F)
    x = layers.RelativeLevel(name="level")(x, mask=mask)
    if cover is not None:
        x = cover(x, mask=mask)
    for number in range(1, halvings + 1):
        frames = layers.ConvolutionalFrames(width, name=f"frames_{number}")
        x = frames(x, mask=mask)  # (B, T, D)
        mask = frames.frame_mask(mask)
    if not halvings:
        x = keras.layers.Dense(width, name="projection")(x)
    x = layers.Dropout(dropout, name="frame_dropout")(x)
    x = encode(x, mask)  # (B, T, D)
    x = POOLINGS[pooling](name="pooling")(x, mask=mask)  # (B, D)
    x = layers.Dropout(dropout, name="output_dropout")(x)
    logits = keras.layers.Dense(len(spec.classes), dtype="float32", name="logits")(x)  # (B, classes)
    return keras.Model(inputs, logits, name="audio_classifier")
