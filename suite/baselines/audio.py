"""Sounds without a neural network: a support-vector machine over statistics of mel-frequency cepstral coefficients.

S samples, F frames, M mel bands, C coefficients.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.baselines.classifier import Classifier
from suite.baselines.machine import Machine
from suite.data import audio
from suite.data.lazy import light
from suite.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

COSTS = (1.0, 3.0, 10.0, 30.0)
"""Tried on validation: C, the inverse strength of the regularization."""

BANDS, COEFFICIENTS = 40, 20
_WINDOW, _STRIDE = 0.025, 0.01  # seconds
_FLOOR = 1e-10


def classifier(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Classifier:
    """Fits a machine for each of `COSTS`; keeps the one with the best accuracy on validation.

    The features know how loud each band of frequencies is on average, how much it varies and how fast it changes, and
    nothing of when.

    Args:
        train: examples with ``waveform``, ``rate`` and ``label``.
        validation: the same; of equals, the smallest cost is taken.
        settings: with `rate` and `max_seconds`, as the neural models have them.
        seed: not used, since nothing is drawn at random.

    Reference: Davis and Mermelstein 1980 (coefficients); Platt 1999 (probabilities from scores). Differs from Platt: a
    softmax with one slope for all classes, as in Guo et al. 2017, instead of a sigmoid for each.
    """
    labels = [example["label"] for example in light(train)]
    if not labels:
        raise InputError("nothing to train on: expected at least one training example")
    features = functools.partial(
        describe, rate=getattr(settings, "rate", 16_000), seconds=getattr(settings, "max_seconds", 10.0)
    )
    classes = tuple(sorted(set(labels)))
    if len(classes) == 1:
        return Classifier(
            features=features, model=None, classes=classes, parameters=0, note="training has one class alone"
        )
    table, unseen = features(train), features(validation)
    wanted = np.array([example["label"] for example in light(validation)])
    tried = []
    for cost in COSTS:
        machine = Machine(_pipeline(cost).fit(table, labels))
        right = np.mean(np.array(classes)[machine.scores(unseen).argmax(axis=1)] == wanted) if len(wanted) else 0.0
        tried.append((float(right), cost, machine))
    _, cost, machine = max(tried, key=lambda entry: entry[0])
    return Classifier(
        features=features,
        model=machine.calibrated(unseen, wanted),
        classes=classes,
        parameters=machine.parameters,
        note=f"C={cost:g}, {'chosen on validation accuracy' if len(wanted) else 'not tuned'}",
    )


def describe(examples: Sequence[Example], *, rate: int, seconds: float) -> np.ndarray:
    """For each example the mean and deviation over time of its coefficients and of their changes: (N, 4 C)."""
    rows = [_statistics(coefficients(audio.fit(example, to=rate, seconds=seconds), rate=rate)) for example in examples]
    return np.stack(rows) if rows else np.zeros((0, 4 * COEFFICIENTS))


def coefficients(waveform: np.ndarray, *, rate: int) -> np.ndarray:
    """Mel-frequency cepstral coefficients of a waveform: (F, C), a frame for each hundredth of a second.

    The cosine transform (type 2, orthonormal) of the logarithm of the power in 40 triangular bands, evenly spaced on
    the mel scale 2595 log10(1 + f / 700) up to half of the rate.
    """
    import scipy.fft

    window, stride = round(_WINDOW * rate), round(_STRIDE * rate)
    padded = np.pad(waveform.astype("float64"), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(waveform) : stride]  # (F, window)
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=-1)) ** 2
    bands = np.log(np.maximum(power @ _filters(rate, window), _FLOOR))  # (F, M)
    return np.asarray(scipy.fft.dct(bands, norm="ortho", axis=-1)[:, :COEFFICIENTS])


@functools.cache
def _filters(rate: int, window: int) -> np.ndarray:
    """Triangles (frequencies, M). One too narrow to hold a frequency is all zero."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequencies = np.arange(window // 2 + 1)[:, None] * rate / window
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))


def _statistics(table: np.ndarray) -> np.ndarray:
    changes = np.diff(table, axis=0, prepend=table[:1])
    return np.concatenate([table.mean(0), table.std(0), np.abs(changes).mean(0), changes.std(0)])


def _pipeline(cost: float) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(C=cost))
