"""What cannot be counted is refused, and never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence


class UnknownError(Exception):
    """The number of operations cannot be told."""


_PRODUCT = re.compile(
    r"conv(?!ert)|matmul|einsum|dot|rnn|lstm|gru|attention|pyfunc|callback|custom_call|ffi_call|pallas"
)


def refuse_product(name: str) -> int:
    """No operations, for an operation that is not known and whose name does not sound like a product."""
    if _PRODUCT.search(name.lower()):
        raise UnknownError(name)
    return 0


def agreed(costs: Sequence[int]) -> int:
    """Of branches that may or may not be taken."""
    if len(set(costs)) != 1:
        raise UnknownError("branches")
    return costs[0]
