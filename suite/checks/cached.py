"""The probe of key-value caches: a sequence in steps gives what it gives at once.

Shapes: B batch, T length, S slots of the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from suite import layers
from suite.checks import inputs
from suite.checks.calling import apply, deviation, flat, parameters
from suite.checks.inputs import B, S
from suite.checks.outcome import TOLERANCE, Measured, NotApplicableError
from suite.checks.subject import Arguments, Subject

LENGTH = 5  # of the sequences, T
WINDOW = 3


def cached(subject: Subject) -> Measured:
    """Cached equals uncached.

    Sequences in steps of 1, of 2 and in one piece, with and without padding on either side, a pairwise mask, explicit
    positions, causal and not (where only the last step sees everything), a window with a plain and a rolling cache,
    every position scheme, shared keys, and a memory that is cached. A cache that is too short for the sequence must
    raise a ValueError, make the output NaN, or give the right output all the same.
    """
    if not subject.takes("cache") or not hasattr(subject.layer, "make_cache"):
        raise NotApplicableError("it has no argument `cache` with a method make_cache(batch, length)")
    found = Measured()
    for label, layer in _versions(subject):
        rolling = (False, True) if getattr(layer, "window", None) is not None else (False,)
        for rolls in rolling:
            name = label + (" rolling" if rolls else "")
            for what, given, sizes in _ways(subject, rolls=rolls):
                whole = subject.call(layer, given)
                found.tried.append(what)
                for size in sizes if label == "as given" else (2,):
                    slots = LENGTH if "pair_mask" in given else WINDOW if rolls else LENGTH + 2
                    cache = layer.make_cache(B, slots, rolling=True) if rolls else layer.make_cache(B, slots)
                    got, start = _in_steps(subject, layer, given, cache, size)
                    found.compare(name, got, [x[:, start:] for x in whole[:1]], detail=f"{what} in steps of {size}")
    _with_memory(subject, found)
    found.count("overrun", _overrun(subject))
    return found


def _versions(subject: Subject) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The subject as it is, and with each position scheme, window and sharing that its constructor knows."""
    changes: dict[str, dict[str, Any]] = {"as given": {}}
    if subject.accepts("position") and type(getattr(subject.layer, "position", None)) in (type(None), layers.Position):
        changes |= {type(scheme).__name__: {"position": scheme} for scheme in _schemes(subject)}
    if subject.accepts("window") and getattr(subject.layer, "window", None) is None:
        changes |= {f"{label} window": change | {"window": WINDOW} for label, change in changes.items()}
    if subject.accepts("kv_heads") and getattr(subject.layer, "kv_heads", None) is None:
        changes["shared keys"] = {"kv_heads": 1}
    for label, change in changes.items():
        try:
            yield label, subject.ready(subject.make(**change)) if change else subject.layer
        except (TypeError, ValueError, NotImplementedError):  # refused; Keras makes a TypeError of it in from_config
            continue


def _schemes(subject: Subject) -> Iterator[layers.Position]:
    """The position schemes of `suite.layers` that need no argument and act where the subject is."""
    for name in layers.__all__:
        scheme = getattr(layers, name)
        if not (isinstance(scheme, type) and issubclass(scheme, layers.Position)) or scheme is layers.Position:
            continue
        if any(parameter.default is parameter.empty for parameter in parameters(scheme).values()):
            continue
        if scheme().in_attention or not subject.takes("return_weights"):
            yield scheme()


def _ways(subject: Subject, *, rolls: bool) -> Iterator[tuple[str, Arguments, tuple[int, ...]]]:
    """Label, arguments, and the sizes of the steps."""
    random = np.random.default_rng(8)
    plain = _plain(subject)
    causal = {"causal": True} if subject.takes("causal") else {}
    left, right = (inputs.real_positions(B, LENGTH, side)[-1] for side in ("left", "right"))
    mask = np.stack([left, right, np.ones(LENGTH, bool)])
    padded = {"mask": mask} if subject.takes("mask") else {}
    pairs = random.random((B, LENGTH, LENGTH)) < 0.7
    count = np.arange(LENGTH)
    places = np.stack([count + 11, count, count + 3 if rolls else count % 3]).astype("int32")
    options = {"": {}, " positions": {"positions": places}} if "positions" in subject.settings else {"": {}}
    for what, option in options.items():
        yield f"causal{what}", plain | causal | option, (1, 2, LENGTH)
        if padded:
            yield f"causal mask{what}", plain | causal | option | padded, (1, 2, LENGTH)
        if "pair mask" in subject.settings and not rolls:
            yield f"causal pair_mask{what}", plain | causal | option | {"pair_mask": pairs}, (2,)
        if causal:
            yield f"mask{what}", plain | option | padded, (2,)


def _plain(subject: Subject) -> Arguments:
    """The required inputs: those that are fed in steps of the length T, others of their own."""
    random = np.random.default_rng(8)
    kinds = subject.kinds.items()
    return {name: kind.draw(random, B, LENGTH if size == subject.length else size) for name, (kind, size) in kinds}


def _in_steps(
    subject: Subject, layer: keras.layers.Layer, given: Arguments, cache: Any, size: int
) -> tuple[list[np.ndarray], int]:
    """The outputs of a sequence fed in steps, and where they start: without `causal`, only the last step's count."""
    aligned = [name for name, (_, length) in subject.kinds.items() if length == subject.length]
    moving = (*aligned, "mask", "positions", "pair_mask")
    outputs, starts = [], range(0, LENGTH, size)
    for start in starts:
        step = {k: v[:, start : start + size] if k in moving else v for k, v in given.items()}
        output, cache = apply(layer, step, cache=cache, training=False)
        outputs += flat(output)
    if subject.takes("causal") and not given.get("causal"):
        return outputs[-1:], starts[-1]
    return [np.concatenate(outputs, axis=1)], 0


def _with_memory(subject: Subject, found: Measured) -> None:
    """A memory, projected once, gives what it gives in every step."""
    layer = subject.layer
    plain, mask = _plain(subject), inputs.real_positions(B, S)
    reads = "memory" in subject.settings or "memory" in plain
    if reads and "memory_mask" in subject.masks and {"memory", "memory_mask"} <= set(parameters(layer.make_cache)):
        given = {"memory": subject.draw(memory=S)["memory"]} | plain | {"memory_mask": mask}
        cache = layer.make_cache(B, LENGTH, memory=given["memory"], memory_mask=mask)
        got, _ = _in_steps(subject, layer, {k: v for k, v in plain.items() if k != "memory"}, cache, 2)
        found.compare("memory", got, subject.call(layer, given))
    if "key mask" in subject.settings and hasattr(layer, "memory_cache"):
        given = plain | {"key": subject.draw(key=S)["key"], "key_mask": mask}
        cache = layer.memory_cache(ops.convert_to_tensor(given["key"]), mask=ops.convert_to_tensor(mask))
        output, _ = apply(layer, plain, cache=cache, training=False)
        found.compare("memory", flat(output), subject.call(layer, given))


def _overrun(subject: Subject) -> list[str]:
    """What a cache of too few slots does wrong: at once, and in steps."""
    layer, faults = subject.layer, []
    given = next(given for _, given, _ in _ways(subject, rolls=False))
    for size in (1, LENGTH):
        try:
            got, start = _in_steps(subject, layer, given, layer.make_cache(B, LENGTH - 1), size)
        except ValueError:
            continue
        right = deviation(got, [x[:, start:] for x in subject.call(layer, given)[:1]]) <= TOLERANCE["float32"]
        if not right and not np.isnan(got[0][:, -1]).any():
            faults.append(f"{LENGTH} tokens in steps of {size} went into a cache of {LENGTH - 1} slots unnoticed")
    return faults
