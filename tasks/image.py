"""Pictures: each gets one class, such as what is to be seen in it.

One example, a picture of 8 rows and columns and one channel, from 0, black, to 255, white, and its label:

    pixels  [[[0], [0], [80], [207], [143], [16], [0], [0]], ...]      label  "0"

The score is accuracy. The models take pixels as they come from a file: all that is done to them is part of the model.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from suite import classification
from suite.baselines import image as baseline
from suite.baselines import majority
from suite.config import Table
from suite.data import image
from suite.data.lazy import Mapped, light
from suite.task import Architecture, Array, Encoded, Example, Spec, Task

if TYPE_CHECKING:
    import keras


KEPT = 2**29
"""Bytes of a split's pixels that are kept in memory; the pictures of a larger one are read from disk as it trains."""


class Features(Table):
    """`[features]`: what every architecture reads of a picture, and how pictures are varied in training."""

    size: list[Annotated[int, Field(gt=0)]] | None = Field(
        None, min_length=2, max_length=2, description="rows and columns; by default those of most training pictures"
    )
    largest: int = Field(96, gt=0, description="of rows and columns where `size` is not given")
    channels: Literal[1, 3] | None = Field(
        None, description="by default 1 where all training pictures are grey, else 3"
    )
    resize: image.Resize = Field("stretch", description="how a picture of other proportions is made to fit")
    patch: int = Field(0, ge=0, description="side of the patches that make a sequence of a picture; 0: its rows do")
    pooling: Literal["attention", "first", "max", "mean"] = "mean"
    dropout: float = Field(0.0, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    flip: bool = Field(False, description="half of the pictures are mirrored, left to right, in training")
    shift: float = Field(0.0, ge=0, lt=1, description="share of its height and width by which a picture moves at most")
    turn: float = Field(0.0, ge=0, le=180, description="degrees by which a picture turns at most, in training")
    rand_augment: int = Field(0, ge=0, description="kinds of RandAugment that change each picture, in training")
    rand_augment_strength: float = Field(0.5, ge=0, le=1)
    erase: float = Field(
        0.0, ge=0, le=1, description="share of the pictures of which a rectangle is erased, in training"
    )


def spec(train: Sequence[Example], features: Features) -> Spec:
    """The classes of the training examples, and the size to which pictures are brought."""
    known = light(train)
    classes = classification.classes(known)
    size = features.size or image.common_size(known, largest=features.largest)
    channels = features.channels or max(example["channels"] for example in known)
    return Spec(
        inputs={"pixels": Array((*size, channels), "uint8")},
        target=Array((), "int32"),
        classes=classes,
        preprocessing={"resize": features.resize},
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Pixels (H, W, C) of the model's size."""
    known = light(examples)
    height, width, channels = (int(size or 0) for size in spec.inputs["pixels"].shape)
    fit = functools.partial(image.fit, size=(height, width), channels=channels, resize=spec.preprocessing["resize"])
    pixels: Sequence[np.ndarray] = Mapped(examples, fit)
    others = sum((example["height"], example["width"]) != (height, width) for example in known)
    return Encoded(
        inputs={"pixels": list(pixels) if len(known) * height * width * channels <= KEPT else pixels},
        targets=classification.targets(known, spec),
        notes=(f"pictures that are not {height} x {width}, resized: {others:,}",) if others else (),
    )


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """Augmentation, the architecture, logits for each class."""
    from suite.heads import image as head

    return head.classifier(
        spec,
        architecture,
        augment=_augmentation(features),
        patch=features.patch or None,
        pooling=features.pooling,
        dropout=features.dropout,
    )


def _augmentation(features: Features) -> list[keras.layers.Layer]:
    """Keras's own layers, in float32: they compute places of pixels, for which half precision is too coarse."""
    import keras

    layers: list[keras.layers.Layer] = []
    if features.rand_augment:
        layers.append(
            keras.layers.RandAugment(
                value_range=(0, 255),
                num_ops=features.rand_augment,
                factor=features.rand_augment_strength,
                dtype="float32",
                name="rand_augment",
            )
        )
    if features.flip:
        layers.append(keras.layers.RandomFlip("horizontal", dtype="float32", name="flip"))
    if features.shift:  # by whole pixels, so that nothing is blurred
        layers.append(
            keras.layers.RandomTranslation(
                features.shift,
                features.shift,
                fill_mode="nearest",
                interpolation="nearest",
                dtype="float32",
                name="shift",
            )
        )
    if features.turn:
        layers.append(
            keras.layers.RandomRotation(features.turn / 360, fill_mode="nearest", dtype="float32", name="turn")
        )
    if features.erase:
        layers.append(
            keras.layers.RandomErasing(
                factor=features.erase, fill_value=127.5, value_range=(0, 255), dtype="float32", name="erase"
            )
        )
    return layers


def example(fields: Mapping[str, str]) -> Example:
    """The picture in a file that is named.

    Raises:
        InputError: it is no picture that can be used.
    """
    return image.example(Path(fields["path"]))


TASK = Task(
    name="image",
    schema="pixels->label",
    fields=("path",),
    metric="accuracy",
    version=1,
    settings=Features,
    read=image.read,
    example=example,
    labels=classification.labels,
    spec=spec,
    encode=encode,
    build=build,
    loss=classification.loss,
    calibrate=classification.calibrate,
    decode=classification.decode,
    evaluate=functools.partial(classification.evaluate, top=5),
    show=classification.show,
    baselines={"classic": baseline.classifier, "majority": majority.classifier},
    families={"transformer": "vit", "cnn": "resnet"},
    reads=("image", "sequence"),
    lower_is_better=frozenset({"calibration_error"}),
)
