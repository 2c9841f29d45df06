"""Which token comes next: the best one, one that is drawn, or several in a beam.

Shapes: B batch, N vocabulary, C candidates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

from keras import ops


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy:
    """How `generate` chooses; a subclass overrides `choose` and is a frozen dataclass of its settings.

    Programs are compiled for `sizes` alone, while `numbers` are given to them: another temperature needs no new one.

    Args:
        repetition_penalty: what positive logits of tokens that stand in the prompt or were written are divided by, and
            negative ones multiplied by. 1 changes nothing.

    Raises:
        ValueError: where it is not above 0.

    Reference: Keskar et al. 2019, CTRL, section 4.1, https://arxiv.org/abs/1909.05858.
    """

    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        check(self, "above 0", self.repetition_penalty > 0, "repetition_penalty")

    @property
    def sizes(self) -> Hashable:
        """What a program must be compiled for."""
        return ()

    @property
    def numbers(self) -> dict[str, float]:
        """What a compiled program is told in each call; a name that is not there is a step that is left out."""
        return {} if self.repetition_penalty == 1 else {"repetition_penalty": self.repetition_penalty}

    def choose(self, logits: Any, uniform: Any, numbers: dict[str, Any]) -> Any:
        """A hook. Logits (B, N), a random number in [0, 1) for each row (B,), `numbers` as tensors -> tokens (B,).

        The repetition penalty is in the logits. Of the strategy itself only `sizes` may be read here.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Greedy(Strategy):
    """The most probable token each time."""

    def choose(self, logits: Any, uniform: Any, numbers: dict[str, Any]) -> Any:
        return ops.cast(ops.argmax(logits, axis=-1), "int32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample(Strategy):
    """A token drawn from what the model thinks, with the unlikely ones cut off if wanted.

    Probabilities are ``softmax(logits / temperature)``. Of them `top_k` are kept, of these those that `top_p` and
    `min_p` both keep; the kept ones are drawn in proportion. The best token is always kept.

    Args:
        temperature: below 1 is nearer to the best token, above 1 nearer to chance.
        top_k: the number of tokens kept; more than the vocabulary are all.
        top_p: the fewest most probable tokens are kept whose probabilities, among `top_k`, reach this sum.
        min_p: tokens are kept that are at least so probable in proportion to the best.
        repetition_penalty: as of `Strategy`; it acts first.

    Raises:
        ValueError: where `temperature` or the penalty is not above 0, `top_k` below 1, or `top_p` or `min_p` not above
            0 and at most 1.

    Reference: Fan et al. 2018 (top-k), https://arxiv.org/abs/1805.04833; Holtzman et al. 2020 (top-p),
    https://arxiv.org/abs/1904.09751; Nguyen et al. 2024 (min-p), https://arxiv.org/abs/2407.01082.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "above 0", self.temperature > 0, "temperature")
        check(self, "of at least 1, or None", self.top_k is None or self.top_k >= 1, "top_k")
        check(self, "above 0 and at most 1, or None", self.top_p is None or 0 < self.top_p <= 1, "top_p")
        check(self, "above 0 and at most 1, or None", self.min_p is None or 0 < self.min_p <= 1, "min_p")

    @property
    def sizes(self) -> Hashable:
        return self.top_k

    @property
    def numbers(self) -> dict[str, float]:
        found = {"temperature": self.temperature, "top_p": self.top_p, "min_p": self.min_p}
        return super().numbers | {name: number for name, number in found.items() if number is not None}

    def choose(self, logits: Any, uniform: Any, numbers: dict[str, Any]) -> Any:
        tokens = None
        if self.top_k is not None or "top_p" in numbers:
            size = logits.shape[-1]
            logits, tokens = ops.top_k(logits, min(self.top_k or size, size))  # (B, C), from the best on
        best = ops.max(logits, axis=-1, keepdims=True)
        weights = ops.exp((logits - best) / numbers["temperature"])  # (B, C), of which the best is 1
        probabilities = weights / ops.sum(weights, axis=-1, keepdims=True)
        kept = ops.where(keep(probabilities, numbers), probabilities, 0.0)
        place = draw(kept, uniform)  # (B,)
        if tokens is None:
            return place
        return ops.cast(ops.take_along_axis(tokens, place[:, None], axis=-1)[:, 0], "int32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beam(Strategy):
    """The most probable sequences that a search finds which carries on with the best `size` beginnings each time.

    A hypothesis of n tokens, the stop token among them, is ranked by its log-probability over
    ``((5 + n) / 6) ** length_penalty``, plus the coverage: ``coverage_penalty * sum_i log(min(sum_j p_ij, 1))``, where
    p_ij is what token j pays of its attention to position i of the memory, in the decoder's last attention to it and on
    average over the heads. Tokens of the prompt do not count. Hypotheses that ended are kept aside: the best `size` of
    them, so that they take no place from those that go on. The search ends when no beginning can still reach the best
    `n_best`, or at `max_tokens`, where what goes on counts as a hypothesis, too.

    Args:
        size: the number of beginnings; 1 is greedy but for what ended on the way.
        length_penalty: 0 ranks by log-probability, which favours short sequences; the paper takes 0.6 to 0.7.
        coverage_penalty: how much it costs to leave parts of a memory unread; the paper takes 0.2. At 0 nobody asks
            for the attention.
        n_best: how many hypotheses of each prompt are wanted.

    Raises:
        ValueError: where a size is below 1, `n_best` above `size`, or a penalty below 0; in `generate`, where `size`
            exceeds the vocabulary, and for a coverage penalty without a memory that a `MultiHeadAttention` reads.

    Reference: Wu et al. 2016, GNMT, section 7, equation 14, https://arxiv.org/abs/1609.08144. Differs from the paper:
    no pruning, and a position counts as read at least 1e-6 times.
    """

    size: int = dataclasses.field(kw_only=False)
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    n_best: int = 1
    repetition_penalty: float = dataclasses.field(default=1.0, init=False, repr=False)

    def __post_init__(self) -> None:
        check(self, "of at least 1", self.size >= 1, "size")
        check(self, f"from 1 to size={self.size}", 1 <= self.n_best <= self.size, "n_best")
        check(self, "of at least 0", self.length_penalty >= 0, "length_penalty")
        check(self, "of at least 0", self.coverage_penalty >= 0, "coverage_penalty")

    @property
    def sizes(self) -> Hashable:
        return self.size, self.n_best

    @property
    def numbers(self) -> dict[str, float]:
        covering = {"coverage_penalty": self.coverage_penalty} if self.coverage_penalty else {}
        return {"length_penalty": self.length_penalty} | covering


def keep(probabilities: Any, numbers: dict[str, Any]) -> Any:
    """Probabilities (B, C), for `top_p` from the best on -> which of them stay, booleans of the same shape."""
    kept = ops.ones_like(probabilities, dtype="bool")
    if "top_p" in numbers:
        before = ops.cumsum(probabilities, axis=-1) - probabilities
        kept = before < numbers["top_p"]
    if "min_p" in numbers:
        enough = numbers["min_p"] * ops.max(probabilities, axis=-1, keepdims=True)
        kept = ops.logical_and(kept, probabilities >= enough)
    return kept


def draw(weights: Any, uniform: Any) -> Any:
    """Weights (B, C), random numbers in [0, 1) (B,) -> the entries drawn in proportion, (B,); never one of weight 0."""
    reached = ops.cumsum(weights, axis=-1)  # (B, C)
    passed = reached > uniform[:, None] * reached[:, -1:]
    drawn = ops.argmax(ops.cast(ops.logical_and(passed, weights > 0), "int32"), axis=-1)
    found = ops.any(ops.logical_and(passed, weights > 0), axis=-1)  # rounding may leave none
    return ops.cast(ops.where(found, drawn, ops.argmax(weights, axis=-1)), "int32")


def check(strategy: Strategy, expected: str, holds: bool, name: str) -> None:
    """Raise a ValueError unless it holds; NaN never does."""
    if not holds:
        raise ValueError(
            f"{type(strategy).__name__} expects {name} {expected}. Received: {name}={getattr(strategy, name)}"
        )
