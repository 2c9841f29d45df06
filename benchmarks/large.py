"""What is measured of a large model's training on an accelerator: GPT-2, BERT and ViT by their sizes.

Shapes: B batch, T length, D width, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

PATCH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Large:
    """A pre-norm Transformer with learned positions, tanh's GELU and no dropout.

    `gpt2` predicts the next token at each place through the table of its embeddings; `bert` gives a text, and `vit` a
    picture, one of `outputs` classes, from the mean over places.
    """

    model: Literal["gpt2", "bert", "vit"]
    batch: int
    length: int  # tokens, or patches
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    outputs: int  # V, or classes
    vocabulary: int = 30_522
    precision: str = "bfloat16"

    @property
    def side(self) -> int:
        """Pixels of a picture's side."""
        return PATCH * int(self.length**0.5)

    def flops(self) -> float:
        """Of the matrix products in a training step; of scores that causality closes, none."""
        places, width = self.batch * self.length, self.width
        block = 2.0 * places * (4 * width**2 + 2 * width * self.hidden)
        block += 4 * places * self.length * width * (0.5 if self.model == "gpt2" else 1)
        ends = {"gpt2": width * self.outputs, "bert": 0, "vit": 3 * PATCH**2 * width}[self.model]
        return 3.0 * (self.depth * block + 2 * places * ends)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (B, T) or pictures (B, side, side, 3), and targets (B, T) or (B,)."""
        random = np.random.default_rng(0)
        targets = random.integers(self.outputs, size=self.batch, dtype="int32")
        if self.model == "vit":
            return random.normal(size=(self.batch, self.side, self.side, 3)).astype("float32"), targets
        words = self.outputs if self.model == "gpt2" else self.vocabulary
        tokens = random.integers(2, words, size=(self.batch, self.length + 1), dtype="int32")
        return tokens[:, :-1], tokens[:, 1:] if self.model == "gpt2" else targets
