"""PyTorch's own encoder block.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.case import Case
from benchmarks.peer import Peer


class TorchPeer(Peer):
    """`torch.nn.TransformerEncoderLayer`.

    Args:
        name: ``"torch"`` for eager execution, which takes PyTorch's own fast path where nothing is trained, or
            ``"torch_compile"``.
    """

    def __init__(self, name: str) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.compiled = name == "torch_compile"
        self.place = "cuda" if torch.cuda.is_available() else "cpu"

    def device(self) -> str:
        return torch.cuda.get_device_name() if self.place == "cuda" else "cpu"

    def prepare(self, case: Case) -> tuple[int, np.ndarray]:
        options: dict[str, Any] = {"device": self.place, "dtype": getattr(torch, case.precision)}
        block = torch.nn.TransformerEncoderLayer(
            case.width,
            case.heads,
            case.hidden,
            case.dropout,
            case.activation,
            layer_norm_eps=1e-6,
            batch_first=True,
            norm_first=True,
            **options,
        )
        block.dropout.p = 0.0  # of the features inside the feed-forward
        block.load_state_dict(_state(case))
        x, target, real = case.arrays()
        inputs, wanted = (torch.tensor(array, **options) for array in (x, target))
        padding = torch.tensor(~real, device=self.place) if case.masked else None
        optimizer = torch.optim.SGD(block.parameters(), lr=1e-3)
        called = torch.compile(block) if self.compiled else block

        def forward() -> Any:
            with torch.no_grad():
                return called(inputs, src_key_padding_mask=padding)

        def train() -> Any:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(called(inputs, src_key_padding_mask=padding), wanted)
            loss.backward()
            optimizer.step()
            return loss.detach()

        block.eval()
        output = forward().float().cpu().numpy()
        block.train(case.training)
        self.start(train if case.training else forward)
        return sum(weight.numel() for weight in block.parameters()), output

    def product(self, precision: str, size: int) -> Callable[[], Any]:
        a = torch.ones((size, size), dtype=getattr(torch, precision), device=self.place)
        return lambda: torch.matmul(a, a)

    def wait(self, result: Any) -> None:
        if self.place == "cuda":
            torch.cuda.synchronize()


def _state(case: Case) -> dict[str, Any]:
    weights = case.weights()
    names = {"self_attn.out_proj": "output", "linear1": "inner", "linear2": "outer", "norm1": "norm1", "norm2": "norm2"}
    parts = ("weight", "bias")
    state = {f"{theirs}.{part}": weights[ours][i].T for theirs, ours in names.items() for i, part in enumerate(parts)}
    for i, part in enumerate(parts):
        state[f"self_attn.in_proj_{part}"] = np.concatenate([weights[name][i].T for name in ("query", "key", "value")])
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()}
