"""What is measured of an encoder block: shapes, inputs and weights, the same for every peer.

Shapes: B batch, T length, D width, F hidden width.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured."""

    batch: int
    length: int
    width: int
    heads: int
    hidden: int
    masked: bool
    training: bool
    dropout: float
    activation: str = "relu"
    precision: str = "float32"

    def flops(self) -> float:
        """Of the matrix products: projections, feed-forward, scores and contexts. A training step costs three times."""
        tokens = self.batch * self.length
        linear = 2 * tokens * (4 * self.width**2 + 2 * self.width * self.hidden)
        return (3 if self.training else 1) * (linear + 4 * tokens * self.length * self.width)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs and targets (B, T, D), and real positions (B, T): rows are from half to wholly full."""
        generator = np.random.default_rng(0)
        x, target = generator.normal(size=(2, self.batch, self.length, self.width)).astype("float32")
        lengths = generator.integers(self.length // 2, self.length, self.batch, endpoint=True)
        return x, target, np.arange(self.length) < lengths[:, None]

    def weights(self) -> dict[str, list[np.ndarray]]:
        """Kernel (in, out) and bias of each map; scale and shift of each norm."""
        generator = np.random.default_rng(1)
        maps = dict.fromkeys(("query", "key", "value", "output"), (self.width, self.width))
        maps |= {"inner": (self.width, self.hidden), "outer": (self.hidden, self.width)}
        made = {
            name: [generator.normal(0, m**-0.5, (m, n)), generator.normal(0, 0.1, n)] for name, (m, n) in maps.items()
        }
        return made | {norm: list(generator.normal(1, 0.1, (2, self.width))) for norm in ("norm1", "norm2")}
