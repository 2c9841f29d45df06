"""Calling a layer by names, comparing what comes out, and making another from its configuration."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops, tree


def apply(layer: Any, arguments: Mapping[str, Any], **options: Any) -> Any:
    """Calls a layer by its arguments' names; a Functional model by its inputs' names."""
    if isinstance(layer, keras.Model) and functional(layer):
        structure = layer.input
        if isinstance(structure, dict):
            return layer({key: arguments[tensor.name] for key, tensor in structure.items()}, **options)
        return layer(tree.map_structure(lambda tensor: arguments[tensor.name], structure), **options)
    name = first(layer)
    return layer(arguments[name], **{k: v for k, v in arguments.items() if k != name}, **options)


@contextlib.contextmanager
def same_dropout() -> Iterator[None]:
    """PyTorch's dropout draws from its global state, which is left as it was; elsewhere layers hold their own."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def flat(outputs: Any) -> list[np.ndarray]:
    """Any structure of outputs as a list of float32 arrays."""
    return [np.asarray(ops.convert_to_numpy(ops.cast(output, "float32"))) for output in tree.flatten(outputs)]


def deviation(got: Iterable[np.ndarray], expected: Iterable[np.ndarray]) -> float:
    """The largest difference, each relative to 1 + the size of what was expected; infinite where shapes differ."""
    worst = 0.0
    for a, b in zip(got, expected, strict=True):
        if a.shape != b.shape:
            return float("inf")
        if a.size:
            same = (a == b) | (np.isinf(a) & np.isinf(b) & (np.sign(a) == np.sign(b)))
            with np.errstate(invalid="ignore"):
                apart = np.where(same, 0.0, np.abs(a - b) / (1 + np.abs(b)))
            worst = max(worst, float("inf") if np.isnan(apart).any() else float(apart.max()))
    return worst


def message(error: Exception) -> str:
    """The line of an error that says what happened; Keras puts lines about the call before it, and colours them."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    about = ("Exception encountered when calling", "Could not automatically infer", "Error when deserializing")
    return next((line for line in lines if not line.startswith(about)), lines[0] if lines else "")


def functional(model: keras.Model) -> bool:
    """Whether a model's inputs are known before it is called."""
    try:
        return bool(model.inputs)
    except AttributeError:
        return False


def signature(layer: keras.layers.Layer) -> dict[str, inspect.Parameter]:
    """The named parameters of a layer's call."""
    return parameters(layer.call)


def first(layer: keras.layers.Layer) -> str:
    """The name of the first parameter of a layer's call."""
    return next(iter(signature(layer)))


def rounds(layer: keras.layers.Layer, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a layer reads whole numbers from fractions, as one that looks tokens up does."""
    fractions = {name: 0.1 + 0.8 * (np.abs(x) % 1) for name, x in arrays.items()}
    outputs = flat(apply(layer, fractions))
    same = deviation(outputs, flat(apply(layer, {name: np.full_like(x, 0.5) for name, x in fractions.items()}))) == 0
    return same and deviation(outputs, flat(apply(layer, {name: x + 1 for name, x in fractions.items()}))) > 0


def parameters(found: Any) -> dict[str, inspect.Parameter]:
    """The named parameters of a function, or of a class's constructor."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    function: Any = inspect.getattr_static(found, "__init__") if isinstance(found, type) else found
    own = inspect.signature(function).parameters
    return {name: p for name, p in own.items() if p.kind in kinds and name != "self"}


def arguments_of(cls: type) -> set[str]:
    """The names of all constructor arguments, those included that reach a base class by `**kwargs`."""
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            names |= set(parameters(base))
            kinds = {parameter.kind for parameter in inspect.signature(vars(base)["__init__"]).parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
        if base is keras.layers.Layer:
            break
    return names | {"name", "dtype", "trainable"}


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made inside have this policy, unless they choose another."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def copy_of(layer: keras.layers.Layer, **changes: Any) -> keras.layers.Layer:
    """A layer made from another's configuration, with the precision that is in force and some arguments changed."""
    policy = keras.saving.serialize_keras_object(keras.config.dtype_policy())
    changed = {k: keras.saving.serialize_keras_object(v) for k, v in changes.items()}
    return type(layer).from_config(_with_policy(layer.get_config(), policy) | changed)


def _with_policy(config: Any, policy: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
            return policy
        return {key: _with_policy(value, policy) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_with_policy(value, policy) for value in config)
    return config
