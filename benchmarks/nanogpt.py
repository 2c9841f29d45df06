"""nanoGPT's recipe for a computer without a GPU, in plain PyTorch, as a peer of our own language models.

`python -m benchmarks.nanogpt FILE` trains a model of characters on the first 90 % of a text and prints, as JSON, its
loss on all the rest, in nats a character, and what that took.

The settings are those that https://github.com/karpathy/nanoGPT publishes; the code is not its own. The loss is taken
once, at the end, on the whole rest in windows side by side: the original takes it again and again on samples, which
costs time that is not counted against it here.

Shapes: B batch, T length, D width, V vocabulary.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

DEPTH, HEADS, WIDTH, CONTEXT = 4, 4, 128, 64
BATCH, STEPS, WARMUP = 12, 2000, 100
HIGHEST, LOWEST = 1e-3, 1e-4  # learning rate, with a cosine between them
TRAIN = 0.9  # of the characters


class Block(nn.Module):
    """Causal self-attention and a feed-forward, pre-norm, without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.inputs = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.output = nn.Linear(WIDTH, WIDTH, bias=False)
        self.inner = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.outer = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        parts = self.inputs(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)  # (B, H, T, D / H)
        context = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(context.transpose(1, 2).flatten(2))
        return x + self.outer(functional.gelu(self.inner(self.norm2(x))))


class Model(nn.Module):
    """Learned positions, one table for input and output."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith(("output.weight", "outer.weight"))  # of a residual branch
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * DEPTH) if last else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.tokens.weight)


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    warmup = min(WARMUP, steps // 2)
    if step < warmup:
        return HIGHEST * (step + 1) / (warmup + 1)
    return LOWEST + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) * (HIGHEST - LOWEST)


def fit(model: Model, tokens: Tensor, *, steps: int) -> None:
    """Trains the model on windows that begin anywhere in the tokens, (N,)."""
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": 0.1},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=HIGHEST, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        starts = torch.randint(len(tokens) - CONTEXT, (BATCH, 1))
        window = tokens[starts + torch.arange(CONTEXT + 1)]  # (B, T + 1)
        loss = functional.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()


@torch.no_grad()
def nats(model: Model, tokens: Tensor) -> float:
    """The mean loss of all tokens but the first, in windows side by side."""
    total = 0.0
    whole = (len(tokens) - 1) // CONTEXT * CONTEXT
    for rows, length in ((tokens[: whole + 1], CONTEXT), (tokens[whole:], len(tokens) - 1 - whole)):
        inputs, targets = (part.view(-1, length) if length else part.view(0, 1) for part in (rows[:-1], rows[1:]))
        for x, y in zip(inputs.split(256), targets.split(256), strict=True):
            total += functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
    return total / (len(tokens) - 1)


def run(
    path: Annotated[Path, typer.Argument(help="A text.", exists=True, dir_okay=False)],
    steps: Annotated[int, typer.Option(min=1)] = STEPS,
    seed: Annotated[int, typer.Option(min=0)] = 1337,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Train, and print the loss on the last 10 % of the text."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    text = path.read_text(encoding="utf8")
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    tokens = torch.from_numpy(np.array([known[character] for character in text]))
    end = int(TRAIN * len(tokens))
    model = Model(len(known))
    fit(model, tokens[:end], steps=steps)
    found = {
        "loss": nats(model, tokens[end:]),
        "tokens": len(tokens) - 1 - end,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "cpu_seconds": time.process_time(),
    }
    typer.echo(json.dumps(found))


if __name__ == "__main__":
    typer.run(run)
