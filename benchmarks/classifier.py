"""What is measured of a text classifier's training: its sizes, and the batches, the same for every peer.

Shapes: B batch, T length, D width, F hidden width.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.case import Case

LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM, EPSILON = 1e-3, 0.01, 1.0, 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """A classifier: embeddings, learned positions, pre-norm blocks, the mean over real positions, two classes.

    A recurrent one has layers of both directions in the blocks' place, and no positions.
    """

    batch: int
    length: int
    width: int
    depth: int
    heads: int = 1
    hidden: int = 0
    cell: Literal["", "LSTM", "GRU"] = ""
    vocabulary: int = 8000
    classes: int = 2
    dropout: float = 0.1
    activation: str = "relu"
    precision: str = "float32"

    def flops(self) -> float:
        """Of the matrix products in a training step, which counts three forward passes.

        Projections, feed-forward, scores and contexts; of a recurrent layer the gates' products with input and state.
        """
        tokens = self.batch * self.length
        if not self.cell:
            return self.depth * self.block().flops()
        gates, each = {"LSTM": 4, "GRU": 3}[self.cell], self.width // 2
        return 3.0 * self.depth * 2 * tokens * 2 * gates * each * (self.width + each)

    def block(self) -> Case:
        """One of its blocks in training."""
        return Case(
            batch=self.batch,
            length=self.length,
            width=self.width,
            heads=self.heads,
            hidden=self.hidden,
            masked=True,
            training=True,
            dropout=self.dropout,
            activation=self.activation,
            precision=self.precision,
        )


class TextBatch(NamedTuple):
    """Tokens (B, T), of which 0 is padding at the end, and classes (B,)."""

    tokens: np.ndarray
    classes: np.ndarray


def full_batch(size: Size) -> TextBatch:
    """Random tokens without any padding."""
    random = np.random.default_rng(0)
    tokens = random.integers(2, size.vocabulary, (size.batch, size.length), dtype="int32")
    return TextBatch(tokens, random.integers(0, size.classes, size.batch, dtype="int32"))
