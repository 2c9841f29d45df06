"""What a training that is interrupted continues from: one file, written whole or not at all."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from suite.errors import InputError
from suite.files import write_atomically

Values = list[np.ndarray]


@dataclasses.dataclass
class Kept:
    """Weights beside the model's own.

    Args:
        best: all variables of the best epoch by validation, or nothing yet.
        last: the trainable ones after each of the last epochs, the newest last, as many as are to be averaged.
    """

    best: Values = dataclasses.field(default_factory=list)
    last: list[Values] = dataclasses.field(default_factory=list)


def save(path: Path, model: keras.Model, progress: dict[str, Any], kept: Kept) -> None:
    """Writes all that the next step depends on.

    Args:
        path: the file.
        model: built, with an optimizer that is; its variables include the state of its random numbers.
        progress: JSON-able, what else there is.
        kept: further weights.
    """
    arrays: dict[str, np.ndarray] = {"progress": np.array(json.dumps(progress))}
    groups = {name: values(variables) for name, variables in _state(model).items()} | {"best": kept.best}
    groups |= {f"last{number}": each for number, each in enumerate(kept.last)}
    for name, group in groups.items():
        arrays |= {f"{name}/{i}": value for i, value in enumerate(group)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def load(path: Path, model: keras.Model) -> tuple[dict[str, Any], Kept]:
    """Puts the model and its optimizer back to where `save` found them, and gives the rest of it.

    Raises:
        InputError: the file is damaged, or of another model.
    """
    try:
        with np.load(path) as arrays:
            progress = json.loads(str(arrays["progress"]))
            for name, variables in _state(model).items():
                assign(variables, _group(arrays, name, len(variables)))
            best = _group(arrays, "best", len(model.variables)) if "best/0" in arrays else []
            last: list[Values] = []
            while f"last{len(last)}/0" in arrays:
                last.append(_group(arrays, f"last{len(last)}", len(model.trainable_variables)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a checkpoint of this model: {error}") from error
    return progress, Kept(best, last)


def told(path: Path) -> dict[str, Any]:
    """The progress that a checkpoint tells, without its weights; nothing where there is none that can be read."""
    try:
        with np.load(path) as arrays:
            return dict(json.loads(str(arrays["progress"])))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def copy_state(source: keras.Model, target: keras.Model) -> None:
    """Puts a model and its optimizer to where another model of the same kind and its optimizer are."""
    state = _state(source)
    for name, variables in _state(target).items():
        assign(variables, values(state[name]))


def values(variables: Sequence[keras.Variable]) -> Values:
    """Copies of what variables hold."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], new: Sequence[np.ndarray]) -> None:
    """Gives each variable its new value."""
    for variable, value in zip(variables, new, strict=True):
        variable.assign(value)


def _group(arrays: Any, name: str, count: int) -> Values:
    return [arrays[f"{name}/{i}"] for i in range(count)]


def _state(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {"model": model.variables, "optimizer": model.optimizer.variables}
