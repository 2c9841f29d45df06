"""TensorFlow: the graph of a traced function.

Nodes name what they read; loops and calls name functions of its library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from suite.flops.unknown import UnknownError, agreed, refuse_product

MOST = 10_000  # a loop that has not ended after so many rounds may never do so


def operations(function: Callable[..., Any], inputs: Sequence[Any]) -> int:
    """The operations of a function that TensorFlow traces."""
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
            return agreed(costs)
        return sum(costs) if called else refuse_product(node.op)

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
                raise UnknownError(node.op)
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
            raise UnknownError(node.op)
        found = _COUNTING[node.op](*(self.value(one, given) for one in _data(node)))
        if list(np.shape(found)) != self._output(node):
            raise UnknownError(node.op)
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
        raise UnknownError("a shape")
    return sizes


def _terms(node: Any) -> list[str]:
    return re.split("->|,", node.attr["equation"].s.decode())


def _labels(term: str, sizes: Sequence[int]) -> dict[str, int]:
    """``"b...d"`` and the sizes of the axes -> the size of each label."""
    before, _, after = term.partition("...")
    return dict(zip(before, sizes, strict=False)) | dict(zip(reversed(after), reversed(sizes), strict=False))
