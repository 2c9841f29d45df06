"""Probes of what an output may depend on: not the future, padding, what a closed row cannot read, or other rows.

Shapes: B batch, T length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from suite.checks import inputs
from suite.checks.inputs import B, S
from suite.checks.outcome import POLICIES, Measured, NotApplicableError
from suite.checks.subject import Arguments, Subject


def causal(subject: Subject) -> Measured:
    """No position reads a later one.

    All content from position t on is replaced, for every t from 1; the outputs before t must stay. In every way to
    call the subject, in inference and in training with dropout. Keys of their own are replaced likewise.
    """
    claimed = subject.causal
    if claimed is None:
        raise NotApplicableError("it has no argument `causal`, and nobody claims that it is")
    in_step = _in_step(subject)
    if in_step is None:
        raise NotApplicableError("it gives one vector for a whole sequence")
    moving, length = in_step
    found = Measured()
    for version, layer, training in _versions(subject):
        found.tried.append(version)
        for label, setting in subject.settings.items():
            given, names = setting | claimed, moving
            if label == "key":
                given, names = given | {"key": subject.draw(key=length)["key"]}, ["key"]
            elif label == "key mask":
                continue
            before = subject.call(layer, given, training=training)[0]
            for t in range(1, length):
                later = np.broadcast_to(np.arange(length) >= t, (B, length))
                after = subject.call(layer, _replaced(subject, given, names, later), training=training)[0]
                found.compare(label, [after[:, :t]], [before[:, :t]], detail=f"before position {t} {version}")
    return found


def padding(subject: Subject) -> Measured:
    """Content under padding changes nothing.

    Padding on the right, on the left and in the middle is filled with other content; the outputs at real positions
    must stay. With a pairwise mask of two segments, so must the first segment's when the second is replaced.
    """
    if not subject.masks and not subject.takes("pair_mask"):
        raise NotApplicableError("it takes no mask")
    found = Measured()
    for version, layer, training in _versions(subject):
        found.tried.append(version)
        for label, given, changed, keep in _padded(subject):
            before = subject.call(layer, given, training=training)
            after = subject.call(layer, changed, training=training)
            found.compare(label, _kept(after, keep), _kept(before, keep), detail=version)
    return found


def closed_row(subject: Subject) -> Measured:
    """A row that may read nothing is zero.

    A pairwise mask closes one row; a mask closes all positions, or all keys. The row's weights must be exactly zero,
    and the outputs finite and the same whatever stands elsewhere; a layer that returns its weights must give the same
    output, its bias, for every closed row, and without biases exactly zero. In all three precisions.
    """
    if not subject.masks and not subject.takes("pair_mask"):
        raise NotApplicableError("it takes no mask")
    found = Measured()
    for dtype, policy in POLICIES.items():
        layer = subject.like(subject.layer, policy)
        for label, given, changed, rows in _closed(subject):
            before, after = subject.call(layer, given), subject.call(layer, changed)
            found.compare(label, rows(after), rows(before), detail=dtype)
            if subject.takes("return_weights"):
                constant = rows(before)[0]
                found.compare(label, [constant], [np.broadcast_to(constant[:1], constant.shape)], detail=dtype)
                _, weights, *_ = subject.call(layer, given | {"return_weights": True})
                weights = np.moveaxis(weights, 1, 2)  # (B, T, H, S)
                zero = [np.zeros_like(x) for x in rows([weights])]
                found.compare(f"{label} weights", rows([weights]), zero, 0.0, detail=dtype)
    if subject.takes("return_weights") and subject.accepts("use_bias"):
        layer = subject.ready(subject.make(use_bias=False))
        for label, given, _, rows in _closed(subject):
            outputs = rows(subject.call(layer, given))
            found.compare(f"{label} without biases", outputs, [np.zeros_like(x) for x in outputs], 0.0)
    return found


def batch(subject: Subject) -> Measured:
    """Rows of a batch do not affect each other.

    Each row alone must give what it gives among others, in every way to call the subject.
    """
    found = Measured()
    for label, given in subject.settings.items():
        together = subject.call(subject.layer, given)
        for row in range(B):
            alone = {k: v[row : row + 1] if isinstance(v, np.ndarray) else v for k, v in given.items()}
            found.compare(
                label, subject.call(subject.layer, alone), [x[row : row + 1] for x in together], detail=f"row {row}"
            )
    return found


def _masks(subject: Subject) -> dict[str, list[str]]:
    """The masks of inputs that it does not refuse."""
    return {k: of for k, of in subject.masks.items() if of[0] in subject.kinds or f"{of[0]} mask" in subject.settings}


def _versions(subject: Subject) -> Iterator[tuple[str, keras.layers.Layer, bool]]:
    """The subject in inference and in training, with dropout where its constructor knows it."""
    yield "in inference", subject.layer, False
    layer, label = subject.layer, "in training"
    if subject.accepts("dropout"):
        layer, label = subject.ready(subject.make(dropout=0.5)), "in training with dropout"
    yield label, layer, True


def _in_step(subject: Subject) -> tuple[list[str], int] | None:
    """The inputs with a position for each of the output's, and their length; None where it gives one vector a row."""
    output = subject.call(subject.layer, subject.draw())[0]
    if output.ndim == 2:
        return None
    alike = [
        name
        for name, (kind, length) in subject.kinds.items()
        if kind.has_length and kind.name != "mask" and length == output.shape[1]
    ]
    if output.ndim < 2 or not alike:
        raise NotApplicableError(f"its output of shape {('B', *output.shape[1:])} has other positions than its input")
    return alike, output.shape[1]


def _replaced(subject: Subject, given: Arguments, names: list[str], where: np.ndarray) -> Arguments:
    """The arguments with other content in some inputs where a mask (B, T) is True."""
    return given | {name: subject.kind(name).other(given[name], where) for name in names}


def _kept(outputs: list[np.ndarray], keep: np.ndarray) -> list[np.ndarray]:
    """The outputs at positions (B, T); whole where an output has no such positions."""
    return [x[keep] if x.ndim > 2 and x.shape[:2] == keep.shape else x for x in outputs]


def _padded(subject: Subject) -> Iterator[tuple[str, Arguments, Arguments, np.ndarray]]:
    """Label, arguments, the same with other content where it must not be read, and the positions (B, T) to compare."""
    _in_step(subject)
    options: list[Arguments] = [{}, {"causal": True}] if "causal" in subject.settings else [{}]
    for name, of in _masks(subject).items():
        plain = subject.draw(**({} if of[0] in subject.kinds else {of[0]: S}))
        for side in ("right", "left", "middle"):
            mask = inputs.real_positions(B, plain[of[0]].shape[1], side)
            for option in options:
                given = plain | {name: mask} | option
                label = f"{name} {side}{' causal' if option else ''}"
                yield label, given, _replaced(subject, given, of, ~mask), mask
    if "pair mask" in subject.settings:
        plain, length = subject.draw(), subject.kinds[subject.main][1]
        first = np.arange(length) < length // 2
        keep = np.broadcast_to(first, (B, length))
        segments = first[:, None] == first[None, :]  # (T, T)
        for pairs in (segments, np.broadcast_to(segments, (B, length, length)).copy()):
            given = plain | {"pair_mask": pairs}
            yield f"pair_mask of {pairs.ndim} axes", given, _replaced(subject, given, [subject.main], ~keep), keep


def _closed(subject: Subject) -> Iterator[tuple[str, Arguments, Arguments, Any]]:
    """Label, arguments that close rows, the same with other content, and a function that takes the closed rows out."""
    in_step, length = _in_step(subject) or ([subject.main], subject.kinds[subject.main][1])
    plain, own = subject.draw(length), np.eye(length, dtype=bool)  # row i of the batch is about position i

    def diagonal(outputs: list[np.ndarray]) -> list[np.ndarray]:
        return [x[own] if x.ndim > 2 and x.shape[:2] == own.shape else x for x in outputs]

    if "pair mask" in subject.settings:
        given = plain | {"pair_mask": ~own[:, :, None] & np.ones((length, length, length), bool)}
        yield "pair_mask", given, _replaced(subject, given, in_step, ~own), diagonal
    for name, of in _masks(subject).items():
        if of[0] in in_step:
            given = plain | {name: np.zeros((length, length), bool)}
            yield name, given, _replaced(subject, given, of, ~own), diagonal
        else:
            optional = subject.draw(length, **({} if of[0] in subject.kinds else {of[0]: S}))
            closed = np.zeros(optional[of[0]].shape[:2], bool)
            given = optional | {name: closed}
            yield name, given, _replaced(subject, given, of, ~closed), lambda outputs: outputs
