"""What a model must show before it trains: that it reads neither padding, nor other rows, nor what is to come.

A score of a model that does is no score of what it claims to be. The probes of `suite.checks` take a layer apart; these
take a whole model as it is, on a few real examples, and cost a few forward passes.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from suite.data.batching import example_lengths, one_batch
from suite.errors import RunError
from suite.task import Encoded, Spec

ROWS = 3
MORE = 8  # further places of padding
TOLERANCE = {"float32": 1e-3, "float64": 1e-3}
ROUGH = 0.1  # in half precision, where another shape rounds otherwise


def certify(model: keras.Model, encoded: Encoded, spec: Spec, *, causal: str = "") -> tuple[str, ...]:
    """The names of the probes that the model passed, of those that apply to it.

    - ``padding``: more places of padding leave an example's outputs as they are.
    - ``batch``: the rows beside an example leave them as they are.
    - ``causal``: what comes later in one input leaves the outputs before it as they are.

    Deviations are measured in units of the largest output.

    Args:
        model: a built model with one output.
        encoded: some examples.
        spec: which axes are padded.
        causal: the input of which outputs may read only what came before, if there is one.

    Raises:
        RunError: a probe failed; the message names it.
    """
    lengths = example_lengths(encoded, spec)
    order = np.argsort(lengths, kind="stable")
    # Rather short examples of different lengths, the longest first: they show as much, and are soon computed.
    chosen = [int(i) for i in order[np.linspace(len(order) // 2, 0, ROWS).astype(int)]] if len(order) > 1 else [0]
    chosen = list(dict.fromkeys(chosen))
    passed = []
    if lengths.any():
        longest = _run(model, one_batch(encoded, spec, chosen[:1]))
        try:
            padded = _run(model, one_batch(encoded, spec, chosen[:1], length=int(lengths[chosen[0]]) + MORE))
        except ValueError:  # a table of positions that ends where the longest example does
            padded = None
        if padded is not None:
            _compare("padding", padded, longest)
            passed.append("padding")
    if len(chosen) > 1:
        together = _run(model, one_batch(encoded, spec, chosen))
        reordered = _run(model, one_batch(encoded, spec, [chosen[0], *reversed(chosen[1:])]))
        alone = _run(model, {name: value[:1] for name, value in one_batch(encoded, spec, chosen).items()})
        _compare("batch", together[:1], alone)
        _compare("batch", reordered[:1], together[:1])
        passed.append("batch")
    if causal:
        inputs = one_batch(encoded, spec, chosen[:1])
        place = inputs[causal].shape[1] // 2
        later = {**inputs, causal: inputs[causal].copy()}
        later[causal][:, place:] = later[causal][:, place:][:, ::-1]
        if place and (later[causal] != inputs[causal]).any():
            _compare("causal", _run(model, later)[:, :place], _run(model, inputs)[:, :place])
            passed.append("causal")
    return tuple(passed)


def _run(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    tensors: Any = {name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()}
    return keras.ops.convert_to_numpy(keras.ops.cast(model(tensors, training=False), "float32"))


def _compare(probe: str, found: np.ndarray, expected: np.ndarray) -> None:
    common = tuple(slice(0, min(sizes)) for sizes in zip(found.shape, expected.shape, strict=True))
    found, expected = found[common], expected[common]
    usual = np.abs(expected)[np.abs(expected) < 1e4]  # what is closed by a large negative number is no measure
    deviation = np.abs(found - expected).max(initial=0.0) / max(1.0, usual.max(initial=0.0))
    limit = TOLERANCE.get(keras.config.dtype_policy().compute_dtype, ROUGH)
    if not deviation <= limit:  # NaN fails, too
        raise RunError(
            f"probe {probe!r} failed before training: outputs differ by {deviation:.2g} of the largest, where at most "
            f"{limit:g} is allowed; the model reads {_READS[probe]}"
        )


_READS = {"padding": "padding", "batch": "other rows of its batch", "causal": "what it has to predict"}
