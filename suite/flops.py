"""Floating-point operations, counted: what one forward pass multiplies and adds in matrix products and convolutions.

A product of (M, K) and (K, N) counts 2 M K N. Elementwise work, norms, softmax, look-ups and Fourier transforms are
left out, as in PyTorch's own counter. What the outputs do not need is not counted: Keras's recurrent layers run a first
step on TensorFlow and PyTorch whose result is thrown away. So a model has the same number on every backend.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.data.batching import example_lengths, one_batch
from suite.task import Encoded, Spec

if TYPE_CHECKING:
    import keras


def count(function: Callable[..., Any], *inputs: Any) -> float | None:
    """The operations of one call.

    TensorFlow and JAX trace the call and compute nothing; PyTorch runs it.

    Args:
        function: a function of tensors on the current backend, such as a built layer or model.
        inputs: what it is called with: arrays, or dictionaries of them.

    Returns:
        Their number; `None` where it cannot be told, for a loop whose end depends on what it computes, or a kernel that
        cannot be looked into, such as cuDNN's for recurrent layers.

    Example:

    >>> import keras
    >>> layer = keras.layers.Dense(5)
    >>> layer.build((None, 3))
    >>> count(layer, np.ones((2, 3), "float32"))  # 2 * 2 * 3 * 5
    60.0

    Reference: ``torch.utils.flop_counter.FlopCounterMode``.
    """
    import keras

    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    counter = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    try:
        return float(counter(function, tensors))
    except _UnknownError:
        return None


def per_example(model: keras.Model, encoded: Encoded, spec: Spec) -> float | None:
    """The operations of one forward pass over an example of mean length.

    One pass as in training, over an input and its whole target: a model that writes token by token needs others.

    Args:
        model: a built model.
        encoded: the examples; where a long one was cut, each piece is one.
        spec: which axes are padded.
    """
    lengths = example_lengths(encoded, spec)
    length = round(float(lengths.mean()))
    row = int(np.where(lengths <= length, lengths, -1).argmax())  # the longest that fits
    return count(lambda inputs: model(inputs, training=False), one_batch(encoded, spec, [row], length=length))


MOST = 10_000  # a loop that has not ended after so many rounds may never do so


class _UnknownError(Exception):
    """The number of operations cannot be told."""


_PRODUCT = re.compile(
    r"conv(?!ert)|matmul|einsum|dot|rnn|lstm|gru|attention|pyfunc|callback|custom_call|ffi_call|pallas"
)


def _refuse_product(name: str) -> int:
    """No operations, for an operation that is not known and whose name does not sound like a product."""
    if _PRODUCT.search(name.lower()):
        raise _UnknownError(name)
    return 0


# TensorFlow: the graph of a traced function. Nodes name what they read; loops and calls name functions of its library.


def _tensorflow(function: Callable[..., Any], inputs: Sequence[Any]) -> int:
    import tensorflow as tf

    traced = tf.function(function, autograph=False).get_concrete_function(*inputs).graph
    graph = traced.as_graph_def(add_shapes=True)
    library = {definition.signature.name: definition for definition in graph.library.function}
    return _Graph({node.name: node for node in graph.node}, [output.name for output in traced.outputs], library).count()


class _Graph:
    """A graph or a function of its library: nodes by name, what it returns, what it takes by name -> shape."""

    def __init__(
        self,
        nodes: Mapping[str, Any],
        returns: Sequence[str],
        library: Mapping[str, Any],
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.nodes, self.returns, self.library, self.arguments = nodes, returns, library, arguments or {}

    def function(self, name: str) -> _Graph:
        found = self.library[name]
        arguments = {argument.name: found.arg_attr[i].attr for i, argument in enumerate(found.signature.input_arg)}
        returns = [found.ret[output.name] for output in found.signature.output_arg]
        return _Graph({node.name: node for node in found.node_def}, returns, self.library, arguments)

    def count(self) -> int:
        """Over all that the returned values need."""
        return sum(self._cost(self.nodes[name]) for name in self.behind(self.returns) - self.arguments.keys())

    def behind(self, reads: Sequence[str]) -> set[str]:
        """The names of the nodes and arguments from which values follow."""
        waiting, seen = list(reads), set()
        while waiting:
            name, _ = _place(waiting.pop())
            if name not in seen:
                seen.add(name)
                waiting += _data(self.nodes[name]) if name in self.nodes else []
        return seen

    def _cost(self, node: Any) -> int:
        if node.op in ("While", "StatelessWhile"):
            body = self.function(node.attr["body"].func.name).count()
            return body * self._repeats(node) if body else 0
        if node.op in ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
            turned = node.attr["transpose_a" if node.op == "MatMul" else "adj_x"].b
            return 2 * math.prod(self._output(node)) * self._input(node, 0)[-2 if turned else -1]
        if node.op in ("Conv2D", "Conv3D"):
            return 2 * math.prod(self._output(node)) * math.prod(self._input(node, 1)[:-1])
        if node.op == "DepthwiseConv2dNative":
            return 2 * math.prod(self._output(node)) * math.prod(self._input(node, 1)[:2])
        if node.op == "Einsum" and len(_data(node)) == 1:
            return 0
        if node.op == "Einsum" and len(_data(node)) == 2:
            first, second = (_labels(term, self._input(node, i)) for i, term in enumerate(_terms(node)[:2]))
            summed = (first.keys() & second.keys()) - set(_terms(node)[2])
            return 2 * math.prod(self._output(node)) * math.prod(first[label] for label in summed)
        if node.op == "BatchToSpaceND":
            return self._cut_off(node)
        called = [value.func.name for value in node.attr.values() if value.HasField("func")]
        called += [one.name for value in node.attr.values() for one in value.list.func]
        costs = [self.function(name).count() for name in called]
        if node.op in ("If", "StatelessIf", "Case", "StatelessCase"):
            return _agreed(costs)
        return sum(costs) if called else _refuse_product(node.op)

    def _cut_off(self, node: Any) -> int:
        """Less than nothing: what a dilated convolution computed beyond its output, to give all its parts one size."""
        inner, rows = node, math.prod(self._input(node, 0))
        while inner is not None and inner.op in ("BatchToSpaceND", "Squeeze"):
            inner = self.nodes.get(_place(inner.input[0])[0])
        if inner is None or "Conv" not in inner.op:
            return 0
        return -self._cost(inner) * (rows - math.prod(self._output(node))) // rows

    def _repeats(self, node: Any) -> int:
        """How often a loop runs: follows its counters, and whatever else its condition reads."""
        condition, body = (self.function(node.attr[name].func.name) for name in ("cond", "body"))
        (going,) = condition.returns
        needed: set[int] = set()
        more = condition.arguments_behind([going])
        while more - needed:
            needed |= more
            more = body.arguments_behind([body.returns[i] for i in needed])
        state = {i: self.value(node.input[i], {}) for i in needed}
        repeats = 0
        while condition.value(going, state):
            state = {i: body.value(body.returns[i], state) for i in needed}
            repeats += 1
            if repeats == MOST:
                raise _UnknownError(node.op)
        return repeats

    def arguments_behind(self, reads: Sequence[str]) -> set[int]:
        """The places of the arguments on which values depend."""
        behind = self.behind(reads)
        return {i for i, name in enumerate(self.arguments) if name in behind}

    def value(self, read: str, given: Mapping[int, Any]) -> Any:
        """A value that follows from constants and the given arguments, by their places."""
        import tensorflow as tf

        name, _ = _place(read)
        if name in self.arguments:
            return given[list(self.arguments).index(name)]
        node = self.nodes[name]
        if node.op == "Const":
            return tf.make_ndarray(node.attr["value"].tensor)
        if node.op not in _COUNTING:
            raise _UnknownError(node.op)
        found = _COUNTING[node.op](*(self.value(one, given) for one in _data(node)))
        if list(np.shape(found)) != self._output(node):
            raise _UnknownError(node.op)
        return found

    def _input(self, node: Any, i: int) -> list[int]:
        name, place = _place(node.input[i])
        return _shape(self.arguments[name] if name in self.arguments else self.nodes[name].attr, place)

    def _output(self, node: Any) -> list[int]:
        return _shape(node.attr, 0)


_COUNTING: Mapping[str, Callable[..., Any]] = {  # what the conditions of loops are made of
    "Identity": lambda x: x,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Minimum": np.minimum,
    "Less": np.less,
    "GreaterEqual": np.greater_equal,
    "LogicalAnd": np.logical_and,
    "Range": np.arange,
    "Max": lambda x, axes: np.max(x, axis=tuple(np.atleast_1d(axes))),
    "StridedSlice": lambda x, begin, end, strides: x[begin[0]],  # of a shape
}


def _place(read: str) -> tuple[str, int]:
    """What a node reads, such as ``"split:output:1"`` -> the other node's name and which of its outputs."""
    name, *rest = read.split(":")
    return name, int(rest[-1]) if rest else 0


def _data(node: Any) -> list[str]:
    return [read for read in node.input if not read.startswith("^")]


def _shape(attributes: Any, place: int) -> list[int]:
    shapes = attributes["_output_shapes"].list.shape if "_output_shapes" in attributes else []
    sizes = [axis.size for axis in shapes[place].dim] if place < len(shapes) else [-1]
    if -1 in sizes:
        raise _UnknownError("a shape")
    return sizes


def _terms(node: Any) -> list[str]:
    return re.split("->|,", node.attr["equation"].s.decode())


def _labels(term: str, sizes: Sequence[int]) -> dict[str, int]:
    """``"b...d"`` and the sizes of the axes -> the size of each label."""
    before, _, after = term.partition("...")
    return dict(zip(before, sizes, strict=False)) | dict(zip(reversed(after), reversed(sizes), strict=False))


def _agreed(costs: Sequence[int]) -> int:
    """Of branches that may or may not be taken."""
    if len(set(costs)) != 1:
        raise _UnknownError("branches")
    return costs[0]


def _jax(function: Callable[..., Any], inputs: Sequence[Any]) -> int:
    import jax

    return _equations(jax.make_jaxpr(function)(*inputs).jaxpr)


def _equations(jaxpr: Any) -> int:
    """Over all that the outputs need."""
    needed, total = {id(value) for value in jaxpr.outvars}, 0
    for equation in reversed(jaxpr.eqns):
        if any(id(value) in needed for value in equation.outvars):
            needed |= {id(value) for value in equation.invars}
            total += _equation(equation)
    return total


def _equation(equation: Any) -> int:
    name, settings = equation.primitive.name, equation.params
    shapes = [value.aval.shape for value in equation.invars]
    if name == "dot_general":
        (summed, _), _ = settings["dimension_numbers"]
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shapes[0][axis] for axis in summed)
    if name == "conv_general_dilated" and set(settings["lhs_dilation"]) == {1}:
        made = shapes[1][settings["dimension_numbers"].rhs_spec[0]]  # the filter's axis of output features
        return 2 * math.prod(equation.outvars[0].aval.shape) * (math.prod(shapes[1]) // made)
    parts = [getattr(part, "jaxpr", part) for part in _parts(settings.values())]
    costs = [_equations(part) for part in parts]
    if name == "while" and any(costs):
        raise _UnknownError(name)
    if name == "cond":
        return _agreed(costs)
    if not parts:
        return _refuse_product(name)
    return sum(costs) * (settings["length"] if name == "scan" else 1)


def _parts(settings: Iterable[Any]) -> Iterator[Any]:
    """The jaxprs among an equation's settings."""
    for value in settings:
        if hasattr(value, "eqns"):
            yield value
        elif isinstance(value, list | tuple):
            yield from _parts(value)


def _torch(function: Callable[..., Any], inputs: Sequence[Any]) -> int:
    import keras
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    aten = torch.ops.aten
    further = {
        aten.dot: lambda a, b, **_: 2 * math.prod(a),
        aten.mv: lambda a, b, **_: 2 * math.prod(a),
        aten.addmv: lambda c, a, b, **_: 2 * math.prod(a),
        aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: (
            2 * math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
        ),
    }
    made_like = "zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty".split()

    def stores(values: Any) -> set[Any]:
        tensors = [value for value in keras.tree.flatten(values) if isinstance(value, torch.Tensor)]
        return {StorageWeakRef(tensor.untyped_storage()) for tensor in tensors}

    class Log(TorchDispatchMode):
        """What each operation reads and writes, and its cost. In place or not, it returns what it wrote."""

        def __init__(self) -> None:
            super().__init__()
            self.steps: list[tuple[set[Any], set[Any], int, str]] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            before = counter.get_total_flops()
            result = func(*args, **(kwargs or {}))
            cost = counter.get_total_flops() - before
            name = func.overloadpacket.__name__
            reads = set() if name in made_like else stores((args, kwargs))
            self.steps.append((reads, stores(result), cost, name))
            return result

    counter = FlopCounterMode(display=False, custom_mapping=further)
    with torch.no_grad(), counter, Log() as log:
        needed = stores(function(*inputs))
    total = 0
    for reads, writes, cost, name in reversed(log.steps):
        if writes & needed:
            needed |= reads
            total += cost or _refuse_product(name)
    return total
