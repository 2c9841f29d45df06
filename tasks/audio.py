"""Sounds: each gets one class, such as the word that is spoken in it.

One example: half a second of samples between -1 and 1, 8,000 of them a second, and its label:

    waveform  [-0.0136, -0.0124, -0.0197, ...]      label  "7"

The score is accuracy. The models take waveforms: all that turns them into features is part of the model.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from suite import classification
from suite.baselines import audio as baseline
from suite.baselines import majority
from suite.config import Table
from suite.data import audio
from suite.data.lazy import Mapped, light
from suite.errors import InputError
from suite.task import Architecture, Array, Encoded, Example, Spec, Task

if TYPE_CHECKING:
    import keras


KEPT = 2**27
"""Samples of a split that are kept in memory (512 MiB); those of a larger one are read from disk as it trains."""


class Features(Table):
    """`[features]`: what every architecture reads of a sound, and how sounds are varied in training."""

    rate: int = Field(
        16_000, ge=1_000, le=192_000, description="samples a second; sounds of another rate are resampled"
    )
    max_seconds: float = Field(10.0, gt=0, description="of a longer sound the beginning is read")
    mels: int = Field(40, gt=0, description="bands of frequencies")
    window: float = Field(0.025, gt=0, description="seconds of sound that one frame describes")
    stride: float = Field(0.01, gt=0, description="seconds from one frame to the next")
    halvings: int = Field(1, ge=0, description="how often two convolutions halve the number of frames")
    pooling: Literal["attention", "max", "mean"] = "mean"
    dropout: float = Field(0.1, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, description="seconds by which sounds are moved at most, in training")
    noise: float = Field(0.0, ge=0, le=1, description="share of the sounds that get white noise, in training")
    noise_low: float = Field(10.0, description="the least signal-to-noise ratio, in decibels")
    noise_high: float = Field(40.0, description="the greatest")
    covered_frames: int = Field(0, ge=0, description="stretches of frames that are covered, in training")
    covered_width: int = Field(20, ge=0, description="the widest of them, in frames")
    covered_share: float = Field(0.2, gt=0, le=1, description="the widest of them, as a share of a sound")
    covered_bands: int = Field(0, ge=0, description="stretches of bands that are covered, in training")
    covered_band_width: int = Field(8, ge=0, description="the widest of them, in bands")


def spec(train: Sequence[Example], features: Features) -> Spec:
    """The classes of the training examples, and how waveforms are made alike."""
    return Spec(
        inputs={"waveform": Array((None,), "float32"), "length": Array((), "int32")},
        target=Array((), "int32"),
        classes=classification.classes(light(train)),
        preprocessing={"rate": features.rate, "max_seconds": features.max_seconds},
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Waveforms (S,) at the model's rate, and how many samples they have."""
    rate, seconds = spec.preprocessing["rate"], spec.preprocessing["max_seconds"]
    known = light(examples)
    lengths = [audio.length(one["samples"], rate=one["rate"], to=rate, seconds=seconds) for one in known]
    long = sum(one["samples"] > seconds * one["rate"] for one in known)
    waveforms: Sequence[np.ndarray] = Mapped(examples, lambda one: audio.fit(one, to=rate, seconds=seconds))
    return Encoded(
        inputs={
            "waveform": list(waveforms) if sum(lengths) <= KEPT else waveforms,
            "length": [np.array(length, dtype="int32") for length in lengths],
        },
        targets=classification.targets(known, spec),
        lengths=lengths,
        notes=(f"sounds of more than {seconds:g} seconds, read without their end: {long:,}",) if long else (),
    )


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """Log-mel features, convolutions, the architecture, logits for each class."""
    from suite import layers
    from suite.heads import audio as head

    augment: list[keras.layers.Layer] = []
    if features.shift:
        augment.append(layers.TimeShift(max(1, round(features.shift * features.rate)), name="time_shift"))
    if features.noise:
        augment.append(
            layers.AdditiveNoise(features.noise_low, features.noise_high, share=features.noise, name="noise")
        )
    cover = layers.SpecAugment(
        frames=features.covered_frames,
        frame_width=features.covered_width,
        frame_share=features.covered_share,
        bands=features.covered_bands,
        band_width=features.covered_band_width,
        name="cover",
    )
    try:
        return head.classifier(
            spec,
            rate=features.rate,
            mels=features.mels,
            window=round(features.window * features.rate),
            stride=round(features.stride * features.rate),
            halvings=features.halvings,
            pooling=features.pooling,
            dropout=features.dropout,
            augment=augment,
            cover=cover if features.covered_frames or features.covered_bands else None,
            width=architecture.width,
            encode=architecture.encode,
        )
    except ValueError as error:
        if "LogMel" in str(error) or "mel filter" in str(error):
            raise InputError(f"[features] rate, mels, window and stride do not go together: {error}") from error
        raise


def example(fields: Mapping[str, str]) -> Example:
    """The sound in a file that is named.

    Raises:
        InputError: it is no sound that can be used.
    """
    return audio.example(Path(fields["path"]))


def slices(example: Example, known: Container[str] | None) -> dict[str, str]:
    """The signal-to-noise ratio where the data knows it, else the dynamic range; the speaker where the data has one."""
    if "snr" in example:
        parts = {"signal to noise": _decibels(example["snr"], step=5)}
    else:
        parts = {"dynamic range": _decibels(audio.dynamic_range(example["waveform"], rate=example["rate"]), step=20)}
    return {**parts, "speaker": str(example["speaker"])} if "speaker" in example else parts


def _decibels(value: float, *, step: int) -> str:
    low = int(value // step) * step
    return f"{low} to {low + step} dB"


TASK = Task(
    name="audio",
    schema="waveform->label",
    fields=("path",),
    metric="accuracy",
    version=1,
    settings=Features,
    read=audio.read,
    example=example,
    labels=classification.labels,
    spec=spec,
    encode=encode,
    build=build,
    loss=classification.loss,
    calibrate=classification.calibrate,
    decode=classification.decode,
    evaluate=classification.evaluate,
    slices=slices,
    show=classification.show,
    baselines={"classic": baseline.classifier, "majority": majority.classifier},
    lower_is_better=frozenset({"calibration_error"}),
)
