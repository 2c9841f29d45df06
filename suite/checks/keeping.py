"""Probes of what a layer keeps: its configuration, its weights, its precision, and itself when it is compiled.

Shapes: B batch, T length, S length of keys and of a memory.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from suite.checks import inputs
from suite.checks.calling import deviation, flat, parameters
from suite.checks.outcome import POLICIES, TOLERANCE, Measured, NotApplicableError
from suite.checks.subject import Subject

LONG = 307  # positions that bfloat16 cannot count
FAR = 3001  # positions that float16 cannot count


def shapes(subject: Subject) -> Measured:
    """Symbolic and eager shapes agree.

    A fresh layer is called with known lengths, and every symbolic size must be the eager one; another with lengths of
    None, where sizes may be None. Both models must then give the eager outputs. The batch size is always None.
    """
    found = Measured()
    for label, given in subject.settings.items():
        eager = subject.call(subject.layer, given)
        for lengths in (True, False):
            fresh = subject.make()
            model, arrays = subject.as_model(fresh, [given], lengths=lengths)
            fresh.set_weights(subject.layer.get_weights())
            wrong = [
                f"{label}: symbolic {tuple(symbol.shape)}, eager {value.shape}"
                for symbol, value in zip(model.outputs, eager, strict=True)
                if not _agree(tuple(symbol.shape), value.shape, strict=lengths)
            ]
            found.count(label, wrong)
            found.compare(label, flat(model(arrays)), eager)
    return found


def config(subject: Subject) -> Measured:
    """Every constructor argument is in get_config.

    Each argument must be there, or come up when it has another value than its default; another value of it must show;
    and a layer made from a configuration must have the same configuration.
    """
    if subject.functional:
        raise NotApplicableError("a Functional model's configuration is Keras's own")
    layer = subject.layer
    before, found = layer.get_config(), Measured()
    again = type(layer).from_config(layer.get_config()).get_config()
    found.count("from_config", [f"{k} changes" for k in before if repr(again.get(k)) != repr(before[k])])
    absent, lost, varied = [], [], []
    for name, parameter in parameters(type(layer)).items():
        other, shown = _with_another(layer, name, before.get(name, parameter.default))
        if other is not None:
            varied.append(name)
        if name not in before and shown is None:
            absent.append(f"no {name} in get_config")
        elif other is not None and shown == before.get(name):
            lost.append(f"{name}={other!r} is not in get_config, which shows {shown!r}")
    found.count("arguments", absent)
    found.count(f"other values of {', '.join(varied)}" if varied else "no other values", lost)
    return found


def saving(subject: Subject) -> Measured:
    """Saving and loading gives identical outputs.

    A model of every way to call the subject, its weights away from zeros and ones, goes through a `.keras` file.
    """
    model, arrays = subject.as_model(subject.layer, subject.settings.values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    found = Measured()
    found.compare("a .keras file", flat(loaded(arrays)), flat(model(arrays)), 0.0)
    return found


def training(subject: Subject) -> Measured:
    """Every weight trains.

    One step of gradient descent towards random targets, over every way to call the subject at once, must move each
    trainable weight. A layer's attribute `idle_weights` may name endings of paths of weights that need not move.
    """
    layer = subject.ready(subject.make())
    if not layer.trainable_weights:
        raise NotApplicableError("it has no trainable weights")
    model, arrays = subject.as_model(layer, subject.settings.values())
    targets = [np.random.default_rng(5).normal(size=output.shape) for output in flat(model(arrays))]
    before = flat([weight.value for weight in layer.trainable_weights])
    model.compile(keras.optimizers.SGD(1.0), ["mse"] * len(targets), run_eagerly=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist")  # it is reported here
        model.train_on_batch(arrays, targets)
    after = flat([weight.value for weight in layer.trainable_weights])
    moved = [float(np.abs(a - b).max()) for a, b in zip(after, before, strict=True)]
    excused = tuple(name for part in inputs.parts(layer) for name in getattr(part, "idle_weights", ()))
    still = [
        weight
        for weight, size in zip(layer.trainable_weights, moved, strict=True)
        if not size > 1e-6 * max(moved) and not weight.path.endswith(excused or ("\0",))
    ]
    found = Measured()
    found.count(
        f"{len(moved)} weights", [f"{weight.path} does not move, {_use(subject, layer, weight)}" for weight in still]
    )
    return found


def precision(subject: Subject) -> Measured:
    """float16 and bfloat16 stay near float32.

    The same weights, with float32 weights and half-precision computation; every way to call the subject, a sequence
    of 307 positions, and positions from 3,001 on.
    """
    layer = subject.layer
    found = Measured()
    for dtype, policy in POLICIES.items():
        if dtype == "float32":
            continue
        half = subject.like(layer, policy)
        for label, given in subject.settings.items():
            expected = subject.call(layer, given)
            found.compare(label, subject.call(half, given), expected, TOLERANCE[dtype], detail=dtype)
        for label, given in _long(subject):
            try:
                expected = subject.call(layer, given)
            except Exception:  # beyond what it holds, as positions beyond a learned table are
                continue
            found.compare(label, subject.call(half, given), expected, TOLERANCE[dtype], detail=dtype)
    return found


def compiled(subject: Subject) -> Measured:
    """Compiled gives what eager gives.

    A model of every way to call the subject: on TensorFlow as a graph and with XLA, on JAX with jit, on PyTorch as
    `predict` runs it.
    """
    model, arrays = subject.as_model(subject.layer, subject.settings.values())
    eager = [output for given in subject.settings.values() for output in subject.call(subject.layer, given)]
    found = Measured()
    for label, predict in _compilers(model):
        found.compare(label, flat(predict(arrays)), eager)
    return found


def _use(subject: Subject, layer: keras.layers.Layer, weight: Any) -> str:
    """What an idle weight does: whether another value changes any output."""
    before = [subject.call(layer, given) for given in subject.settings.values()]
    weight.assign(weight + keras.random.normal(weight.shape, seed=7))
    after = [subject.call(layer, given) for given in subject.settings.values()]
    used = any(deviation(a, b) > 100 * TOLERANCE["float32"] for a, b in zip(after, before, strict=True))
    return "although outputs depend on it" if used else "and no output depends on it"


def _compilers(model: keras.Model) -> Iterator[tuple[str, Callable[[list[np.ndarray]], Any]]]:
    if keras.backend.backend() != "tensorflow":
        model.compile()
        yield "predict", model.predict_on_batch
        return
    import tensorflow as tf

    for label in ("graph", "XLA") if all(part.supports_jit for part in inputs.parts(model)) else ("graph",):
        yield label, tf.function(lambda arrays: model(arrays, training=False), jit_compile=label == "XLA")


def _agree(symbolic: tuple[int | None, ...], eager: tuple[int, ...], *, strict: bool) -> bool:
    if len(symbolic) != len(eager):
        return False
    free = symbolic[1:] if strict else ()
    return None not in free and all(a is None or a == b for a, b in zip(symbolic, eager, strict=True))


def _with_another(layer: keras.layers.Layer, name: str, value: Any) -> tuple[Any, Any]:
    """Another legal value of an argument, and what the configuration of a layer with it shows; None for none."""
    for other in _others(value):
        try:
            return other, type(layer).from_config({**layer.get_config(), name: other}).get_config().get(name)
        except (TypeError, ValueError):
            continue
    return None, None


def _others(value: Any) -> list[Any]:
    """Other values that an argument may take, judged by the one it has."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [other for other in (2 * value, value + 2, value + 1, 2) if other != value]
    if isinstance(value, float):
        return [value + 0.125, value / 2]
    return [2, 0.5, True] if value is None else []


def _long(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    length = subject.length
    if length is None:
        return
    if all(kind.has_length for kind, _ in subject.kinds.values()) and not subject.functional:
        random = np.random.default_rng(6)
        yield f"{LONG} positions", {name: kind.draw(random, 1, LONG) for name, (kind, _) in subject.kinds.items()}
    if subject.takes("positions"):
        yield f"positions from {FAR}", subject.draw() | {"positions": FAR + np.arange(length, dtype="int32")}
