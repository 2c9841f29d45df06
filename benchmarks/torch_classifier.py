"""A text classifier with PyTorch's own layers, and Hugging Face's BERT of the same size.

Shapes: B batch, T length, D width, F hidden width.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.classifier import CLIP_NORM, EPSILON, LEARNING_RATE, WEIGHT_DECAY, Size, TextBatch
from benchmarks.peer import Peer


class TorchClassifier(Peer):
    """A classifier made of PyTorch modules.

    Args:
        name: ``"torch"`` or ``"hugging_face"``, with ``"_compile"`` behind it for `torch.compile`.
    """

    def __init__(self, name: str) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.name, self.compiled = name.removesuffix("_compile"), name.endswith("_compile")
        self.place = "cuda" if torch.cuda.is_available() else "cpu"

    def device(self) -> str:
        return torch.cuda.get_device_name() if self.place == "cuda" else "cpu"

    def prepare(self, size: Size, batches: Sequence[TextBatch]) -> int:
        """Train once on batches of each shape. The number of weights."""
        torch.manual_seed(0)
        return self.start_training(_kind(self.name, size)(size), size.precision, batches)

    def start_training(self, model: nn.Module, precision: str, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> int:
        """Train once on all batches, inputs and classes. The number of weights."""
        self.model = model.to(self.place).train()
        self.called = torch.compile(self.model) if self.compiled else self.model
        # The fused update is the fastest that PyTorch has.
        weights = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
        self.cast = precision != "float32"
        made: dict[int, tuple[Tensor, Tensor]] = {}  # a batch that comes several times is there once
        for batch in batches:
            x, y = (torch.from_numpy(array).to(self.place) for array in batch)
            made.setdefault(id(batch), (x, y.long()))
        self.batches = [made[id(batch)] for batch in batches]
        self.epoch()
        return sum(weight.numel() for weight in weights)

    def epoch(self) -> float:
        """Seconds of all batches after the first, whose end is waited for before the clock starts."""
        ends = self.ends()
        return ends[-1] - ends[0]

    def ends(self) -> list[float]:
        """When the step of each batch ended, in seconds."""
        ends = []
        for inputs, classes in self.batches:
            self._step(inputs, classes).item()
            ends.append(time.perf_counter())
        return ends

    def _step(self, inputs: Tensor, classes: Tensor) -> Tensor:
        with torch.autocast(self.place, torch.bfloat16, enabled=self.cast):
            logits = self.called(inputs)  # (..., classes)
        loss = functional.cross_entropy(logits.float().flatten(0, -2), classes.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        return loss.detach()

    def product(self, precision: str, size: int) -> Callable[[], Any]:
        a = torch.ones((size, size), dtype=getattr(torch, precision), device=self.place)
        return lambda: torch.matmul(a, a)

    def wait(self, result: Any) -> None:
        if self.place == "cuda":
            torch.cuda.synchronize()


def _kind(name: str, size: Size) -> Callable[[Size], nn.Module]:
    if name == "hugging_face":
        return _Bert
    return _Recurrent if size.cell else _Classifier


class _Recurrent(nn.Module):
    """`nn.LSTM` or `nn.GRU`, in both directions."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.dropout = nn.Dropout(size.dropout)
        dropout = size.dropout if size.depth > 1 else 0.0
        kind = getattr(nn, size.cell)
        self.layers = kind(
            size.width, size.width // 2, size.depth, batch_first=True, dropout=dropout, bidirectional=True
        )
        self.logits = nn.Linear(size.width, size.classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, classes)."""
        x, _ = self.layers(self.dropout(self.tokens(tokens)))  # (B, T, D)
        return self.logits(self.dropout(_mean(x, tokens == 0)))


class _Classifier(nn.Module):
    """`nn.TransformerEncoder`."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.positions = nn.Embedding(size.length, size.width)
        self.dropout = nn.Dropout(size.dropout)
        layer = nn.TransformerEncoderLayer(
            size.width,
            size.heads,
            size.hidden,
            size.dropout,
            size.activation,
            layer_norm_eps=EPSILON,
            batch_first=True,
            norm_first=True,
        )
        layer.dropout.p = 0.0  # of the features inside the feed-forward
        norm = nn.LayerNorm(size.width, EPSILON)
        self.encoder = nn.TransformerEncoder(layer, size.depth, norm, enable_nested_tensor=False)
        self.logits = nn.Linear(size.width, size.classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, classes)."""
        padding = tokens == 0
        x = self.dropout(self.tokens(tokens) + self.positions.weight[: tokens.shape[1]])  # (B, T, D)
        return self.logits(self.dropout(_mean(self.encoder(x, src_key_padding_mask=padding), padding)))


class _Bert(nn.Module):
    """`BertForSequenceClassification`, which is post-norm, and pools the first position."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        from transformers import AutoModelForSequenceClassification, BertConfig

        config = BertConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.width,
            num_hidden_layers=size.depth,
            num_attention_heads=size.heads,
            intermediate_size=size.hidden,
            hidden_act=size.activation,
            hidden_dropout_prob=size.dropout,
            attention_probs_dropout_prob=size.dropout,
            max_position_embeddings=size.length,
        )
        config.num_labels = size.classes
        self.bert = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa")

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, classes)."""
        return self.bert(input_ids=tokens, attention_mask=(tokens != 0).long()).logits


def _mean(x: Tensor, padding: Tensor) -> Tensor:
    """(B, T, D), (B, T) -> the mean at real positions, (B, D)."""
    real = (~padding).unsqueeze(-1).to(x.dtype)  # (B, T, 1)
    return (x * real).sum(1) / real.sum(1)
