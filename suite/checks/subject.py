"""What is probed: how to make it, what to feed it, how to call it.

Shapes: B batch, T length, S length of keys and of a memory, H heads.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from suite.checks import inputs
from suite.checks.calling import (
    apply,
    arguments_of,
    copy_of,
    first,
    flat,
    functional,
    message,
    precision,
    rounds,
    same_dropout,
    signature,
)
from suite.checks.inputs import B, Kind, S, T, second_kind
from suite.errors import InputError, did_you_mean

Arguments = dict[str, Any]
SECOND = ("key", "memory")  # optional inputs of a length of their own


class Subject:
    """A layer or model under test, with all that the probes need to know about it.

    Args:
        layer: a layer or model, whose configuration makes fresh ones; or a class or function without required
            arguments that gives one.
        name: shown in reports.
        causal: whether it claims that no position reads a later one, where it has no `causal` argument. By default
            its own attribute `causal`; and a layer that takes a `cache` and no `causal` claims it.
        kind: `sequence` (B, T, D), `tokens` (B, T), `characters` (B, T, C), `image` (B, 32, 48, 3) or `waveform`
            (B, 3200). By default the first that the layer takes; a Functional model's own inputs decide.
        width: D of a sequence. By default the first of a few that the layer takes.
        example: an input (B, T, ...) from which others are put together, where none of the kinds suits.

    Raises:
        InputError: as soon as the subject is used, where no kind of input suits, or it makes no layer.
    """

    def __init__(
        self,
        layer: keras.layers.Layer | Callable[[], keras.layers.Layer],
        *,
        name: str | None = None,
        causal: bool | None = None,
        kind: str | None = None,
        width: int | None = None,
        example: np.ndarray | None = None,
    ) -> None:
        given = isinstance(layer, keras.layers.Layer)
        self.name = name or (type(layer).__name__ if given else getattr(layer, "__name__", "layer"))
        self._factory = (lambda: copy_of(layer)) if given else layer
        self._claims = causal
        self._kind = kind
        self._width = width
        self._example = example

    def make(self, policy: str = "float32", **changes: Any) -> keras.layers.Layer:
        """A fresh one, not built, in this precision; `changes` are constructor arguments to be set otherwise."""
        with precision(policy):
            layer = self._factory()
            if not isinstance(layer, keras.layers.Layer):
                raise InputError(f"{self.name}: expected a Keras layer or model. Received: {layer!r}")
            return copy_of(layer, **changes) if changes else layer

    @functools.cached_property
    def layer(self) -> keras.layers.Layer:
        """One in float32 that is built and has weights away from zeros and ones."""
        return self.ready(self.make())

    def ready(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Builds a layer, by calling it, and gives it weights that depend on their shapes alone."""
        self.call(layer, self.draw())
        random = np.random.default_rng(0)
        for weight in layer.weights:
            if not keras.backend.is_float_dtype(weight.dtype):
                continue
            shape = tuple(weight.shape)
            if len(shape) < 2:  # a bias or a scale
                weight.assign(ops.convert_to_numpy(ops.cast(weight, "float32")) + 0.3 * random.uniform(size=shape))
            else:
                weight.assign(random.normal(size=shape) / np.sqrt(np.prod(shape[:-1])))
        return layer

    def like(self, layer: keras.layers.Layer, policy: str) -> keras.layers.Layer:
        """One with the same weights that computes in this precision."""
        other = self.make(policy)
        self.call(other, self.draw())
        other.set_weights(layer.get_weights())
        return other

    @functools.cached_property
    def kinds(self) -> dict[str, tuple[Kind, int]]:
        """The required inputs: name -> kind and length."""
        layer = self.make()
        if isinstance(layer, keras.Model) and functional(layer):
            return {tensor.name: inputs.of_tensor(tensor, layer) for tensor in layer.inputs}
        required = [name for name, p in signature(layer).items() if p.default is p.empty] or [first(layer)]
        if self._example is not None:
            length = self._example.shape[1] if self._example.ndim > 1 else T
            return {name: (inputs.like(self._example), length) for name in required}
        return self._find_kinds(layer, required)

    def _find_kinds(self, layer: keras.layers.Layer, required: list[str]) -> dict[str, tuple[Kind, int]]:
        candidates = list(inputs.known(layer, width=self._width))
        if self._kind is not None:
            names = {kind.name for kind in candidates}
            if self._kind not in names:
                raise InputError(f"unknown kind of input {self._kind!r}; {did_you_mean(self._kind, names)}")
            candidates = [kind for kind in candidates if kind.name == self._kind]
        optional = [[], ["memory"]] if "memory" in signature(layer) else [[]]  # a decoder may insist on one
        errors: dict[str, str] = {}
        for kind, more, length in itertools.product(candidates, optional, (S, T)):  # the length of all but the first
            kinds = {name: (kind, T if name == required[0] else length) for name in required}
            kinds |= {name: (second_kind(kind), S) for name in more}
            random = np.random.default_rng(0)
            arrays = {name: kind.draw(random, B, length) for name, (kind, length) in kinds.items()}
            try:
                fresh = self.make()
                apply(fresh, arrays)
                if self._kind or kind.whole or not rounds(fresh, arrays):
                    return kinds
            except Exception as error:  # a layer may raise anything where it is given what it does not take
                errors.setdefault(kind.name, f"{type(error).__name__}: {message(error)}")
        tried = "".join(f"\n  {name}: {what}" for name, what in errors.items())
        raise InputError(f"{self.name} takes none of the known kinds of input; name one by --input or --width.{tried}")

    def takes(self, name: str) -> bool:
        """Whether it has an input or a call argument of this name."""
        return name in self.kinds or (not self.functional and name in signature(self.layer))

    def accepts(self, name: str) -> bool:
        """Whether its constructor has an argument of this name."""
        return name in arguments_of(type(self.layer))

    @functools.cached_property
    def functional(self) -> bool:
        """Whether it is a model made of `keras.Input`s, so that its call has no arguments besides them."""
        return isinstance(self.layer, keras.Model) and functional(self.layer)

    @functools.cached_property
    def main(self) -> str:
        """The name of the first input that is no mask."""
        return next(name for name, (kind, _) in self.kinds.items() if kind.name != "mask")

    @functools.cached_property
    def causal(self) -> Arguments | None:
        """The call arguments under which no position may read a later one, or None where nothing is claimed."""
        if self.takes("causal"):
            return {"causal": True}
        claimed = getattr(self.layer, "causal", self.takes("cache")) if self._claims is None else self._claims
        return {} if claimed is True else None

    @functools.cached_property
    def masks(self) -> dict[str, list[str]]:
        """The mask arguments, each with the inputs that it is of: `key_mask` is of `key`."""
        others = [name for name, (kind, _) in self.kinds.items() if kind.name != "mask" and name != self.main]
        own = {f"{name}_mask": [name] for name in (*others, *SECOND) if self.takes(name) and self.takes(f"{name}_mask")}
        if not self.takes("mask"):
            return own
        length = self.kinds[self.main][1]
        aligned = [name for name in others if f"{name}_mask" not in own and self.kinds[name][1] == length]
        return {"mask": [self.main, *aligned]} | own

    def kind(self, name: str) -> Kind:
        """The kind of an input, required or not: keys and a memory are sequences as wide as the main one."""
        if name in self.kinds:
            return self.kinds[name][0]
        return second_kind(self.kinds[self.main][0])

    def draw(self, batch: int = B, *, seed: int = 0, **extra: int) -> Arguments:
        """Random required inputs; `extra` names optional ones with their lengths."""
        random = np.random.default_rng(seed)
        drawn = {name: kind.draw(random, batch, length) for name, (kind, length) in self.kinds.items()}
        return drawn | {name: self.kind(name).draw(random, batch, length) for name, length in extra.items()}

    @property
    def length(self) -> int | None:
        """T, where the first input has a length."""
        kind, length = self.kinds[self.main]
        return length if kind.has_length else None

    @functools.cached_property
    def _settings(self) -> tuple[dict[str, Arguments], dict[str, str]]:
        kept, refused = {}, {}
        for label, arguments in self._candidates():
            try:
                self.call(self.layer, arguments)
                kept[label] = arguments
            except (ValueError, NotImplementedError) as error:
                if label == "plain":
                    raise
                refused[label] = message(error)
        return kept, refused

    @property
    def settings(self) -> dict[str, Arguments]:
        """The ways to call it: label -> arguments. Those that it refuses are left out."""
        return self._settings[0]

    @property
    def refused(self) -> dict[str, str]:
        """The ways to call it that it refuses, and what it says."""
        return self._settings[1]

    def _candidates(self) -> Iterator[tuple[str, Arguments]]:
        plain = self.draw()
        mask = {
            name: inputs.real_positions(B, plain[of[0]].shape[1]) for name, of in self.masks.items() if of[0] in plain
        }
        if self.takes("return_weights"):  # first, for Keras expects all later symbolic calls to have no more outputs
            yield "weights", plain | mask | {"return_weights": True}
        yield "plain", plain
        length = self.length
        if length is None:
            return
        if mask:
            yield "mask", plain | mask
        if self.takes("causal"):
            yield "causal", plain | mask | {"causal": True}
        if self.takes("pair_mask"):
            pairs = np.random.default_rng(2).random((B, length, length)) < 0.5
            yield "pair mask", plain | {"pair_mask": pairs}
        if self.takes("bias"):
            yield (
                "bias",
                plain | {"bias": np.random.default_rng(3).normal(size=(B, 1, length, length)).astype("float32")},
            )
        if self.takes("positions"):
            rising = np.stack([row + (row + 1) * np.arange(length) for row in range(B)]).astype("int32")
            yield "positions", plain | {"positions": rising}
        for name in SECOND:
            if name not in self.kinds and self.takes(name):
                second = plain | {name: self.draw(seed=4, **{name: S})[name]}
                yield name, second
                if f"{name}_mask" in self.masks:
                    yield f"{name} mask", second | {f"{name}_mask": inputs.real_positions(B, S)}

    def call(self, layer: Any, arguments: Mapping[str, Any], *, training: bool = False) -> list[np.ndarray]:
        """The outputs as float32 arrays. What a call in training changes, such as random states, is set back."""
        if not training:
            return flat(apply(layer, arguments, training=False))
        before = [np.array(ops.convert_to_numpy(variable)) for variable in layer.variables]
        with same_dropout():
            outputs = flat(apply(layer, arguments, training=True))
        for variable, value in zip(layer.variables, before, strict=True):
            variable.assign(value)
        return outputs

    def as_model(
        self, layer: keras.layers.Layer, settings: Iterable[Arguments], *, lengths: bool = True
    ) -> tuple[keras.Model, list[np.ndarray]]:
        """A Functional model with an output for each setting, and the arrays to feed it.

        Args:
            layer: what is called.
            settings: its arguments, each time.
            lengths: whether the inputs' lengths are known beforehand; otherwise they are None.
        """
        tensors: dict[int, Any] = {}
        arrays: dict[int, np.ndarray] = {}
        outputs = []
        for arguments in settings:
            given: Arguments = {}
            for name, value in arguments.items():
                if isinstance(value, np.ndarray):
                    if id(value) not in tensors:
                        free = (T, S) if not lengths and (name not in self.kinds or self.kind(name).has_length) else ()
                        shape = [None if size in free else size for size in value.shape[1:]]
                        tensors[id(value)] = keras.Input(shape, dtype=value.dtype.name, name=f"{name}_{len(tensors)}")
                        arrays[id(value)] = value
                    value = tensors[id(value)]
                given[name] = value
            outputs += tree.flatten(apply(layer, given))
        return keras.Model(list(tensors.values()), outputs), list(arrays.values())
