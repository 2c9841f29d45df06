"""JAX: the equations of a traced function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from suite.flops.unknown import UnknownError, agreed, refuse_product


def operations(function: Callable[..., Any], inputs: Sequence[Any]) -> int:
    """The operations of a function that JAX traces."""
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
        raise UnknownError(name)
    if name == "cond":
        return agreed(costs)
    if not parts:
        return refuse_product(name)
    return sum(costs) * (settings["length"] if name == "scan" else 1)


def _parts(settings: Iterable[Any]) -> Iterator[Any]:
    """The jaxprs among an equation's settings."""
    for value in settings:
        if hasattr(value, "eqns"):
            yield value
        elif isinstance(value, list | tuple):
            yield from _parts(value)
