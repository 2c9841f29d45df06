"""A network over raw samples, M5, on the spoken digits, in plain PyTorch, as a peer of our own audio models.

`python -m benchmarks.m5` trains until validation says that the goal is reached, or for all its epochs, and prints, as
JSON, the accuracy on the official test recordings.

Layers are those of Dai et al. 2016, https://arxiv.org/abs/1610.00087, with the widths and settings of PyTorch's own
tutorial on speech commands: Adam at 0.01 with a weight decay of 0.0001, a tenth of it after 20 epochs, batches of 256
sounds at 8 kHz, zeros after the shorter ones. The code is not theirs. The tutorial's data is forty times as large; on
the digits a batch of 256 is an eighth of an epoch, and `--batch 32` takes more steps.

Shapes: B batch, T samples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from suite.data.datasets import spoken_digit
from suite.data.splits import make_splits
from suite.task import Example

RATE, BATCH, EPOCHS = 8000, 256, 60
LEARNING_RATE, WEIGHT_DECAY, STEP = 0.01, 1e-4, 20


def build() -> nn.Sequential:
    """(B, 1, T) -> (B, 10)."""
    sizes = ((1, 32, 80, 16), (32, 32, 3, 1), (32, 64, 3, 1), (64, 64, 3, 1))  # channels in and out, kernel, stride
    blocks = [
        nn.Sequential(nn.Conv1d(i, o, kernel, stride), nn.BatchNorm1d(o), nn.ReLU(), nn.MaxPool1d(4))
        for i, o, kernel, stride in sizes
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 10))


def arrays(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Samples (B, 1, T), cut or filled with zeros to a second, and digits (B,)."""
    x = np.zeros((len(examples), 1, RATE), "float32")
    for row, example in zip(x, examples, strict=True):
        waveform = np.asarray(example["waveform"], "float32")[:RATE]
        row[0, : len(waveform)] = waveform
    return torch.from_numpy(x), torch.tensor([int(example["label"]) for example in examples])


@torch.inference_mode()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of sounds that the model gets right."""
    model.eval()
    return float((model(x).argmax(-1) == y).float().mean())


def run(
    goal: Annotated[float, typer.Option(help="Accuracy on validation at which training stops.")] = 1.0,
    batch: Annotated[int, typer.Option(min=1)] = BATCH,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Learn from a few sounds.")] = False,
) -> None:
    """Train, and print the accuracy on test."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    splits = make_splits(spoken_digit.load(), name="spoken_digit", limit=40 if quick else None)
    (x, y), validation, test = (arrays(part) for part in (splits.train, splits.validation, splits.test))
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=STEP, gamma=0.1)
    reached: list[float] = []
    while len(reached) < (1 if quick else EPOCHS) and not (reached and reached[-1] >= goal):
        model.train()
        for rows in torch.randperm(len(x)).split(batch):
            loss = functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        schedule.step()
        reached.append(accuracy(model, *validation))
    found = {
        "accuracy": accuracy(model, *test),
        "validation": reached,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }
    typer.echo(json.dumps(found))


if __name__ == "__main__":
    typer.run(run)
