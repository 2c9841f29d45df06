"""Our layers beside others' implementations: the same weights and inputs, the largest deviation of what comes out.

A test builds both, says with a table of names which weights belong together, and calls `parity` or, for gradients too,
`compare`. In such a table ``{n}`` counts the blocks, and several names of ours share one matrix of the peer, side by
side. With the environment variable PARITY_CSV the deviations are appended to that file.
"""

from __future__ import annotations

import csv
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

TOLERANCE = 1e-5
Names = dict[str | tuple[str, ...], str]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(13)


@pytest.fixture
def rng():
    return np.random.default_rng(17)


@pytest.fixture(scope="session")
def _deviations():
    """The largest deviation and the largest value of each comparison; written down at the end."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    yield found
    if not (path := os.environ.get("PARITY_CSV")):
        return
    backend = keras.backend.backend()
    with Path(path).open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            writer.writerow(["peer", "what", "backend", "max_abs_deviation", "max_abs_value", "tolerance", "versions"])
        for (peer, what), (deviation, size) in sorted(found.items()):
            package = peer.partition(".")[0].replace("_", "-")
            packages = dict.fromkeys([package, *["torch"] * (package == "transformers"), "keras", backend])
            versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
            writer.writerow([peer, what, backend, f"{deviation:.1e}", f"{size:.2g}", TOLERANCE, versions])


@pytest.fixture
def parity(_deviations):
    """Record how far two results lie apart, where `real` is True, and fail beyond the tolerance."""

    def check(peer: str, what: str, ours: Any, theirs: Any, *, real: Any = ...) -> None:
        ours, theirs = array(ours), array(theirs)
        assert ours.shape == theirs.shape
        ours, theirs = ours[real], theirs[real]
        assert np.isfinite(theirs).all()
        new = float(np.abs(ours - theirs).max()), float(np.abs(theirs).max())
        old = _deviations.get((peer, what), (0.0, 0.0))
        _deviations[peer, what] = max(new[0], old[0]), max(new[1], old[1])
        assert new[0] <= TOLERANCE, f"{peer}, {what}: {new[0]:.1e} apart, of values up to {new[1]:.2g}"

    return check


@pytest.fixture
def copy_weights():
    """Give our layer the weights of a peer, all of them."""

    def copy(ours: Any, theirs: Any, names: Names, *, depth: int = 1) -> None:
        for weight, value in side_by_side(ours, theirs, names, depth=depth, take=array):
            weight.assign(value)

    return copy


@pytest.fixture
def randomize(rng):
    """Give every parameter of a PyTorch module a random value, biases and norms too, so that no mix-up goes unseen."""

    def fill(module: Any) -> Any:
        for name, parameter in module.named_parameters():
            shape = tuple(parameter.shape)
            is_scale = len(shape) == 1 and name.endswith("weight")
            parameter.data.copy_(parameter.data.new_tensor(draw(rng, shape, is_scale=is_scale)))
        return module.eval()

    return fill


@pytest.fixture
def compiled():
    """A model's call as one program on JAX, which compiles each operation otherwise, and as it is elsewhere."""

    def compile_call(call: Callable[..., Any]) -> Callable[..., Any]:
        if keras.backend.backend() != "jax":
            return call
        import jax

        return jax.jit(lambda *inputs, **others: call(*inputs, **others))

    return compile_call


@pytest.fixture
def in_steps(compiled):
    """What a model with a cache gives where the tokens come in parts of these sizes, as if they came at once."""

    def run(call: Callable[..., Any], tokens: np.ndarray, cache: Any, sizes: tuple[int, ...], **others: Any) -> Any:
        call = compiled(call)
        outputs, start = [], 0
        for size in sizes:
            part = slice(start, start := start + size)
            output, cache = call(tokens[:, part], cache=cache, **{k: x[:, part] for k, x in others.items()})
            outputs.append(array(output))
        assert start == tokens.shape[1]
        return np.concatenate(outputs, axis=1)

    return run


@pytest.fixture
def compare(parity, copy_weights, rng):
    """Outputs and the gradients of all weights and inputs, of a weighted sum of the outputs at real positions."""

    def check(
        peer: str,
        what: str,
        ours: keras.layers.Layer,
        theirs: Any,
        names: Names,
        inputs: list[np.ndarray],
        call_ours: Callable[..., Any],
        call_theirs: Callable[..., Any],
        *,
        real: np.ndarray | None = None,
    ) -> None:
        symbols = [keras.Input(batch_shape=x.shape, dtype=str(x.dtype)) for x in inputs]
        call_ours(*symbols)  # builds it
        if isinstance(theirs, keras.layers.Layer):
            call_theirs(*symbols)
            for weight in theirs.weights:
                weight.assign(draw(rng, weight.shape, is_scale="gamma" in weight.path))
        copy_weights(ours, theirs, names)
        real = np.ones(inputs[0].shape[:2], bool) if real is None else real
        wide = real.reshape(*real.shape, *[1] * (inputs[0].ndim - real.ndim))
        probe = (rng.normal(size=inputs[0].shape) * wide / real.sum() ** 0.5).astype("float32")  # gradients of order 1
        output, input_gradients, gradients = differentiate(ours, call_ours, inputs, probe)
        expected, expected_input_gradients, expected_gradients = differentiate(theirs, call_theirs, inputs, probe)
        parity(peer, f"{what}: outputs", output, expected, real=real)
        for mine, other in zip(input_gradients, expected_input_gradients, strict=True):
            parity(peer, f"{what}: gradients", mine, other)
        together = side_by_side(ours, theirs, names, take=lambda weight: expected_gradients[id(weight)])
        for weight, expected in together:
            parity(peer, f"{what}: gradients", gradients[id(weight)], expected)

    return check


def draw(rng: np.random.Generator, shape: tuple[int, ...], *, is_scale: bool) -> np.ndarray:
    """Values that keep what passes through of order 1."""
    scale = 0.3 if len(shape) == 1 else max(shape) ** -0.5
    return scale * rng.normal(size=shape) + is_scale


def array(x: Any) -> np.ndarray:
    """Any framework's tensor as NumPy's."""
    return np.asarray(x.detach().numpy() if hasattr(x, "detach") else ops.convert_to_numpy(x), "float32")


def side_by_side(
    ours: Any, theirs: Any, names: Names, *, depth: int = 1, take: Callable[[Any], np.ndarray]
) -> Iterator[tuple[Any, np.ndarray]]:
    """Each weight of ours and what `take` gives for the peer's parameter, in our layout; none may be left over."""
    left = {id(weight): weight.path for weight in ours.weights}
    unused = {id(p): name for name, p in _parameters(theirs).items()}
    for name, other in names.items():
        many = "{n}" in other
        for n in range(depth if many else 1):
            layers = [_get(ours, one.format(n=n)) for one in ((name,) if isinstance(name, str) else name)]
            found = _named(theirs, other.format(n=n))
            assert found, f"{other} of {type(theirs).__name__}"
            values = [_our_layout(take(p), theirs, other.format(n=n), layers[0]) for p in found]
            shares = zip(*(np.split(value, len(layers), axis=-1) for value in values), strict=True)
            for layer, share in zip(layers, shares, strict=True):
                missing = [np.zeros(weight.shape) for weight in layer.weights[len(share) :]]  # a bias of ours alone
                for weight, value in zip(layer.weights, [*share, *missing], strict=True):
                    yield weight, value.reshape(weight.shape)
                    left.pop(id(weight), None)
            for parameter in found:
                unused.pop(id(parameter), None)
    assert not left
    assert not unused


def _parameters(theirs: Any) -> dict[str, Any]:
    if isinstance(theirs, keras.layers.Layer):
        return {weight.path.replace("/", "."): weight for weight in theirs.weights}
    return dict(theirs.named_parameters())


def _named(theirs: Any, name: str) -> list[Any]:
    """The peer's parameters under a name, kernel first; PyTorch's `in_proj` is `in_proj_weight` and `in_proj_bias`."""
    if isinstance(theirs, keras.layers.Layer):  # whose paths start with names of layers around it
        return [weight for path, weight in _parameters(theirs).items() if f".{name}." in f".{path}"]
    return [p for path, p in _parameters(theirs).items() if path == name or path.startswith((f"{name}.", f"{name}_"))]


def _our_layout(value: np.ndarray, theirs: Any, name: str, layer: Any) -> np.ndarray:
    """PyTorch's kernels have the outputs first; GPT-2's Conv1D in Hugging Face's hands has not."""
    if isinstance(theirs, keras.layers.Layer) or not hasattr(layer, "kernel") or value.ndim == 1:
        return value
    module = dict(theirs.named_modules()).get(name)
    return value if type(module).__name__ == "Conv1D" else np.moveaxis(value, (0, 1), (-1, -2))


def _get(root: Any, path: str) -> Any:
    for key in path.split("."):
        root = root[int(key)] if key.isdigit() else getattr(root, key)
    return root


def differentiate(layer: Any, call: Callable[..., Any], inputs: list[np.ndarray], probe: np.ndarray) -> Any:
    """Outputs, and the gradients of ``sum(outputs * probe)``: of the inputs, and of each weight by its id."""
    if not isinstance(layer, keras.layers.Layer):
        return _differentiate_torch(list(layer.parameters()), [id(p) for p in layer.parameters()], call, inputs, probe)
    weights = layer.trainable_weights
    ids = [id(weight) for weight in weights]
    if keras.backend.backend() == "torch":
        return _differentiate_torch([weight.value for weight in weights], ids, call, inputs, probe)
    if keras.backend.backend() == "jax":
        import jax

        def loss(values: Any, tensors: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
                output = call(*tensors)
            return ops.sum(output * probe), output

        gradients, output = jax.grad(loss, argnums=(0, 1), has_aux=True)([w.value for w in weights], inputs)
        return output, gradients[1], dict(zip(ids, map(array, gradients[0]), strict=True))
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        output = call(*tensors)
        loss = tf.reduce_sum(output * probe)
    of_inputs, of_weights = tape.gradient(loss, (tensors, [w.value for w in weights]))
    return output, of_inputs, dict(zip(ids, map(array, of_weights), strict=True))


def _differentiate_torch(parameters: list[Any], ids: list[int], call: Any, inputs: Any, probe: Any) -> Any:
    import torch

    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    output = call(*tensors)
    gradients = torch.autograd.grad((output * torch.tensor(probe)).sum(), [*tensors, *parameters])
    return output, gradients[: len(tensors)], dict(zip(ids, map(array, gradients[len(tensors) :]), strict=True))
