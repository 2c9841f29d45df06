"""Pictures without a neural network: histograms of gradients and logistic regression, or principal components and a
support-vector machine, whichever is better on validation.

N pictures, H height, W width, C channels, R and S rows and columns of cells, O orientations.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from suite.baselines.classifier import Classifier
from suite.baselines.machine import Machine
from suite.data import image
from suite.data.lazy import light
from suite.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from suite.task import Example

COSTS = {"gradients": (0.001, 0.01, 0.1), "components": (1.0, 10.0)}
"""Tried on validation: C, the inverse strength of the regularization."""

MACHINE_LIMIT = 5_000
"""Training examples of the support-vector machine, whose time grows with their square; of more it has a sample."""

ITERATIONS = 100  # of the regression, at most
COMPONENTS = 60
ORIENTATIONS = 9
CELLS = 8  # on the shorter side, where a picture has that many times two pixels
_CHUNK = 2**21  # pixels described at a time, so that gradients do not exhaust memory
_CLIP = 0.2  # of normalised histograms, as in the reference


def classifier(
    train: Sequence[Example], validation: Sequence[Example], settings: BaseModel | None, seed: int
) -> Classifier:
    """Fits both kinds with each of their `COSTS`; keeps the one with the best accuracy on validation.

    Args:
        train: examples with ``pixels`` and ``label``.
        validation: the same; of equals, the first tried is taken.
        settings: with `size`, `largest`, `channels` and `resize`, as the neural models have them.
        seed: draws the sample for the machine.

    Reference: Dalal and Triggs 2005 (gradients), https://doi.org/10.1109/CVPR.2005.177.
    """
    known = light(train)
    labels = np.array([example["label"] for example in known])
    if not len(labels):
        raise InputError("nothing to train on: expected at least one training example")
    classes = tuple(sorted(set(labels.tolist())))
    size = getattr(settings, "size", None) or image.common_size(known, largest=getattr(settings, "largest", 96))
    channels = getattr(settings, "channels", None) or max(example["channels"] for example in known)
    pixels = functools.partial(
        _pixels, size=tuple(size), channels=channels, resize=getattr(settings, "resize", "stretch")
    )
    if len(classes) == 1:
        note = "training has one class alone"
        return Classifier(features=_nothing, model=None, classes=classes, parameters=0, note=note)
    wanted = np.array([example["label"] for example in light(validation)])
    pictures, unseen = pixels(train), pixels(validation)
    tried = [
        *_with_gradients(pictures, labels, unseen, wanted),
        *_with_components(pictures, labels, unseen, wanted, seed=seed),
    ]
    best = max(tried, key=lambda one: one.accuracy)
    return Classifier(
        features=functools.partial(_described, pixels=pixels, describe=best.describe),
        model=best.model,
        classes=classes,
        parameters=best.parameters,
        note=f"{best.note}, {'chosen on validation accuracy' if len(wanted) else 'not tuned'}",
    )


class _Tried(NamedTuple):
    """A fitted model, and how it did on validation."""

    accuracy: float
    note: str
    describe: Callable[[np.ndarray], np.ndarray]
    model: Any
    parameters: int


def _described(
    examples: Sequence[Example],
    *,
    pixels: Callable[[Sequence[Example]], np.ndarray],
    describe: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    return describe(pixels(examples))


def flat(pictures: np.ndarray) -> np.ndarray:
    """Pictures, uint8 (N, H, W, C) -> float32 (N, H W C) from 0 to 1."""
    return pictures.reshape(len(pictures), -1).astype("float32") / 255


def gradients(pictures: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients of pictures, uint8 (N, H, W, C) -> float32 (N, features).

    In each cell the gradients' magnitudes are summed by orientation, opposite ones together, shared linearly by the two
    nearest of `ORIENTATIONS`; of the channels the one with the largest gradient counts. Each block of 2 x 2 cells is
    brought to length 1, clipped and brought to length 1 again.
    """
    step = max(1, _CHUNK // (pictures.shape[1] * pictures.shape[2]))
    parts = [_histograms(pictures[start : start + step]) for start in range(0, len(pictures), step)]
    return np.concatenate(parts) if parts else np.zeros((0, 1), "float32")


def _histograms(pictures: np.ndarray) -> np.ndarray:
    count, height, width, _ = pictures.shape
    side = max(1, min(height, width) // CELLS) if min(height, width) >= 2 * CELLS else min(2, height, width)
    rows, columns = height // side, width // side
    padded = np.pad(np.sqrt(pictures.astype("float32")), [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]  # (N, H, W, C)
    right = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    channel = np.argmax(down**2 + right**2, axis=-1, keepdims=True)
    down, right = (np.take_along_axis(x, channel, axis=-1)[..., 0] for x in (down, right))  # (N, H, W)
    strength = np.hypot(down, right)
    place = np.mod(np.arctan2(down, right), np.pi) * (ORIENTATIONS / np.pi) - 0.5  # 0 is the middle of the first
    share = place - np.floor(place)
    table = np.zeros((count, rows, columns, ORIENTATIONS), "float32")
    for orientation in range(ORIENTATIONS):
        here = np.floor(place) % ORIENTATIONS == orientation
        before = (np.floor(place) + 1) % ORIENTATIONS == orientation
        weight = strength * (here * (1 - share) + before * share)
        cells = weight[:, : rows * side, : columns * side].reshape(count, rows, side, columns, side)
        table[..., orientation] = cells.sum(axis=(2, 4))
    if rows > 1 and columns > 1:  # (N, R - 1, S - 1, 4 O)
        table = np.concatenate([table[:, :-1, :-1], table[:, :-1, 1:], table[:, 1:, :-1], table[:, 1:, 1:]], axis=-1)
    table = np.minimum(_unit(table), _CLIP)
    return _unit(table).reshape(count, -1)


def _unit(table: np.ndarray) -> np.ndarray:
    return table / np.sqrt((table**2).sum(axis=-1, keepdims=True) + 1e-4)


def _with_gradients(
    pictures: np.ndarray, labels: np.ndarray, unseen: np.ndarray, wanted: np.ndarray
) -> Iterator[_Tried]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table, other = gradients(pictures), gradients(unseen)
    for cost in COSTS["gradients"]:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=cost, max_iter=ITERATIONS, tol=1e-3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of iterations that are not enough: validation tells what is
            model.fit(table, labels)
        yield _Tried(
            accuracy=_accuracy(model.predict(other), wanted),
            note=f"logistic regression of gradients, C={cost:g}",
            describe=gradients,
            model=model,
            parameters=2 * table.shape[1] + model[-1].coef_.size + model[-1].intercept_.size,
        )


def _with_components(
    pictures: np.ndarray, labels: np.ndarray, unseen: np.ndarray, wanted: np.ndarray, *, seed: int
) -> Iterator[_Tried]:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    sample = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MACHINE_LIMIT])
    sampled = f", {len(sample):,} of {len(labels):,} examples" if len(sample) < len(labels) else ""
    if len(set(labels[sample])) < len(set(labels)):
        return
    table, other = flat(pictures[sample]), flat(unseen)
    components = PCA(min(COMPONENTS, *table.shape), random_state=seed).fit(table)
    for cost in COSTS["components"]:
        machine = Machine(make_pipeline(components, SVC(C=cost)).fit(table, labels[sample]))
        answers = machine.classes_[machine.scores(other).argmax(axis=1)] if len(other) else wanted
        yield _Tried(
            accuracy=_accuracy(answers, wanted),
            note=f"support-vector machine of components, C={cost:g}{sampled}",
            describe=flat,
            model=machine.calibrated(other, wanted),
            parameters=components.components_.size + components.mean_.size + machine.parameters,
        )


def _accuracy(answers: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean(answers == wanted)) if len(wanted) else 0.0


def _pixels(examples: Sequence[Example], *, size: tuple[int, int], channels: int, resize: image.Resize) -> np.ndarray:
    """Examples as uint8 (N, H, W, C)."""
    pictures = np.zeros((len(examples), *size, channels), "uint8")
    for number, example in enumerate(examples):
        pictures[number] = image.fit(example, size=size, channels=channels, resize=resize)
    return pictures


def _nothing(examples: Sequence[Example]) -> np.ndarray:
    return np.zeros((len(examples), 0))
