"""PyTorch: its own counter, and a log of what each operation reads and writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from suite.flops.unknown import refuse_product


def operations(function: Callable[..., Any], inputs: Sequence[Any]) -> int:
    """The operations of a function that PyTorch runs."""
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
            total += cost or refuse_product(name)
    return total
