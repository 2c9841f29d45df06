"""Large models in plain PyTorch, with its fused attention, for `torch.compile`.

Shapes: B batch, T length, D width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.large import PATCH, Large
from benchmarks.torch_classifier import TorchClassifier


class LargeTorch(TorchClassifier):
    """A large model in PyTorch; of the name ``"torch_compile"``, compiled."""

    def prepare_large(self, size: Large, steps: int) -> int:
        """Compile, and train for so many steps. The number of weights."""
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")
        return self.start_training(_Model(size), size.precision, [size.arrays()] * steps)


class _Block(nn.Module):
    def __init__(self, size: Large) -> None:
        super().__init__()
        self.heads, self.causal = size.heads, size.model == "gpt2"
        self.norm1, self.norm2 = (nn.LayerNorm(size.width, 1e-6) for _ in range(2))
        self.inputs = nn.Linear(size.width, 3 * size.width)
        self.output = nn.Linear(size.width, size.width)
        self.inner = nn.Linear(size.width, size.hidden)
        self.outer = nn.Linear(size.hidden, size.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        parts = self.inputs(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B, H, T, D / H)
        context = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.output(context.transpose(1, 2).flatten(2))
        return x + self.outer(functional.gelu(self.inner(self.norm2(x)), approximate="tanh"))


class _Model(nn.Module):
    def __init__(self, size: Large) -> None:
        super().__init__()
        self.kind = size.model
        if size.model == "vit":
            self.patches = nn.Conv2d(3, size.width, PATCH, PATCH)
        else:
            self.tokens = nn.Embedding(size.outputs if size.model == "gpt2" else size.vocabulary, size.width)
        self.positions = nn.Parameter(torch.randn(size.length, size.width) * 0.02)
        self.blocks = nn.Sequential(*(_Block(size) for _ in range(size.depth)))
        self.norm = nn.LayerNorm(size.width, 1e-6)
        if size.model != "gpt2":
            self.logits = nn.Linear(size.width, size.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T) or (B, side, side, 3) -> (B, T, V) or (B, classes)."""
        places = self._patches if self.kind == "vit" else self.tokens
        x = self.norm(self.blocks(places(x) + self.positions))  # (B, T, D)
        if self.kind == "gpt2":
            return functional.linear(x, self.tokens.weight)
        return self.logits(x.mean(1))

    def _patches(self, pictures: Tensor) -> Tensor:
        return self.patches(pictures.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
