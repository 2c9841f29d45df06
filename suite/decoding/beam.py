"""Beam search in one compiled loop.

Shapes: B batch, K size of the beam, M tokens to write, E stop tokens, N vocabulary, S length of the memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from suite.decoding.steps import begin, predict
from suite.decoding.strategies import Beam
from suite.layers.capture import memory_weights

_NEVER = float("-inf")  # the score of a hypothesis that does not exist
_LEAST = 1e-6  # a position counts as read so much at least, for of zero there is no logarithm


class Going(NamedTuple):
    """The K best beginnings of each row.

    Attributes:
        text: (B, K, M) what was written.
        score: (B, K) sums of log-probabilities.
        token: (B K,) the last token of each, which the model has not read yet.
        position: (B K,) where it stands.
        cache: what the model keeps of all before it, for B K rows.
        coverage: (B, K, S) sums of the written tokens' attention to the memory; or ``()`` where nobody asks.
    """

    text: Any
    score: Any
    token: Any
    position: Any
    cache: Any
    coverage: Any


class Ended(NamedTuple):
    """The K best hypotheses of each row that ended, best first.

    Attributes:
        text: (B, K, M) what was written before the stop token.
        length: (B, K) the number of those tokens.
        total: (B, K) sums of log-probabilities, that of the stop token among them.
        score: (B, K) what they are ranked by.
        stopped: (B, K) booleans, False where `max_tokens` ended it.
    """

    text: Any
    length: Any
    total: Any
    score: Any
    stopped: Any


def search(
    model: Any, prompt: dict[str, Any], limit: Any, blank: Any, stop: Any, numbers: dict[str, Any], *, strategy: Beam
) -> tuple[Ended, Any]:
    """The best hypotheses.

    Args:
        model: called as a `LanguageModel` is.
        prompt: padded prompts, and a memory if there is one.
        limit: () integer, the most tokens.
        blank: (B, M), of which the shape counts.
        stop: (E,) the tokens that end a hypothesis.
        numbers: of the strategy.
        strategy: its sizes are compiled in.

    Returns:
        The hypotheses, and whether a logit was NaN, ().
    """
    (batch, length), size = blank.shape, strategy.size

    def rank(total: Any, tokens: Any, coverage: Any) -> Any:
        """Log-probabilities (B, C), numbers of tokens, coverage (B, C, S) or () -> what is ranked by, (B, C)."""
        scores = total / divisor(ops.cast(tokens, "float32"), numbers["length_penalty"])
        if "coverage_penalty" not in numbers:
            return scores
        logs = ops.where(prompt["memory_mask"][:, None], ops.log(ops.clip(coverage, _LEAST, 1.0)), 0.0)
        return scores + numbers["coverage_penalty"] * ops.sum(logs, axis=-1)

    def unsettled(count: Any, going: Going, ended: Ended, bad: Any) -> Any:
        """Whether a beginning could still do better than the worst hypothesis that is wanted."""
        # Scores only fall, the divisor only grows, and coverage at most costs nothing: no continuation can reach more.
        reach = ops.max(going.score, axis=1) / divisor(ops.cast(limit, "float32"), numbers["length_penalty"])  # (B,)
        open_rows = ops.any(reach > ended.score[:, strategy.n_best - 1])
        return ops.logical_and(ops.logical_and(count < limit, open_rows), ops.logical_not(bad))

    def step(count: Any, going: Going, ended: Ended, bad: Any) -> tuple[Any, Going, Ended, Any]:
        logits, total, cache, coverage = look(model, going)
        vocabulary = logits.shape[-1]
        if size > vocabulary:
            raise ValueError(f"Beam expects a size of at most the vocabulary's {vocabulary}. Received: size={size}")
        bad = ops.logical_or(bad, ops.any(ops.isnan(total)))
        scores = going.score[..., None] + ops.reshape(logits - total, (batch, size, vocabulary))  # (B, K, N)
        known = ops.minimum(stop, vocabulary - 1)
        endings = ops.where(stop < vocabulary, ops.take(scores, known, axis=-1), _NEVER)  # (B, K, E)
        counted = ops.repeat(coverage, endings.shape[-1], axis=1) if "coverage_penalty" in numbers else ()
        ranks = rank(ops.reshape(endings, (batch, -1)), count + 1, counted)  # (B, K E)
        ended = collect(ended, going, endings, ranks, count)
        stops = ops.any(ops.arange(vocabulary, dtype="int32")[:, None] == stop[None], axis=-1)  # (N,)
        scores = ops.reshape(ops.where(stops, _NEVER, scores), (batch, size * vocabulary))
        score, best = ops.top_k(scores, size)  # (B, K)
        best = ops.cast(best, "int32")
        parent, token = best // vocabulary, best % vocabulary
        text = ops.take_along_axis(going.text, parent[..., None], axis=1)  # (B, K, M)
        rows = ops.reshape(parent + size * ops.arange(batch, dtype="int32")[:, None], (-1,))  # (B K,)
        following = Going(
            text=ops.slice_update(text, (0, 0, count), token[..., None]),
            score=score,
            token=ops.reshape(token, (-1,)),
            position=going.position + 1,
            cache=tuple(part.take(rows, memory=False) for part in cache),  # rows stay with their prompt
            coverage=ops.take_along_axis(coverage, parent[..., None], axis=1) if "coverage_penalty" in numbers else (),
        )
        return count + 1, following, ended, bad

    going, ended = start(model, prompt, size, length)
    if "coverage_penalty" in numbers:
        going = going._replace(coverage=uncovered(prompt, size))
    first = (ops.zeros((), "int32"), going, ended, ops.zeros((), "bool"))
    count, going, ended, bad = ops.while_loop(unsettled, step, first)
    # Before the limit, what still goes on is no hypothesis.
    score = ops.where(count < limit, _NEVER, rank(going.score, ops.maximum(count, 1), going.coverage))
    everything = Ended(
        text=ops.concatenate([ended.text, going.text], axis=1),
        length=ops.concatenate([ended.length, ops.broadcast_to(count, (batch, size))], axis=1),
        total=ops.concatenate([ended.total, going.score], axis=1),
        score=ops.concatenate([ended.score, score], axis=1),
        stopped=ops.concatenate([ended.stopped, ops.zeros((batch, size), "bool")], axis=1),
    )
    return best_of(everything, size), bad


def start(model: Any, prompt: dict[str, Any], size: int, length: int) -> tuple[Going, Ended]:
    """K times the same beginning, of which all but one cannot be chosen; no hypothesis."""
    written = begin(model, prompt, length=length)
    batch = written.token.shape[0]
    rows = ops.repeat(ops.arange(batch, dtype="int32"), size)  # (B K,)
    alone = ops.broadcast_to(ops.where(ops.arange(size) == 0, 0.0, _NEVER), (batch, size))
    text = ops.zeros((batch, size, length), "int32")
    going = Going(
        text=text,
        score=ops.cast(alone, "float32"),
        token=ops.take(written.token, rows, axis=0),
        position=ops.take(written.position, rows, axis=0),
        cache=tuple(part.take(rows) for part in written.cache),
        coverage=(),
    )
    none = ops.full((batch, size), _NEVER, "float32")
    return going, Ended(text, ops.zeros((batch, size), "int32"), none, none, ops.zeros((batch, size), "bool"))


def uncovered(prompt: dict[str, Any], size: int) -> Any:
    """The coverage (B, K, S) of a memory that nobody has read."""
    if "memory" not in prompt:
        raise ValueError("Beam expects a memory where it has a coverage_penalty. Received: memory=None")
    batch, length = prompt["memory_mask"].shape
    return ops.zeros((batch, size, length), "float32")


def look(model: Any, going: Going) -> tuple[Any, Any, Any, Any]:
    """As `predict`, for the last token of each beginning, and with it the coverage (B, K, S) after one more token."""
    if isinstance(going.coverage, tuple):
        return *predict(model, going.token, going.position, going.cache), ()
    with memory_weights() as found:
        logits, total, cache = predict(model, going.token, going.position, going.cache)
    if not found:
        raise ValueError(
            f"Beam expects a coverage_penalty of 0 where the memory is not read by a MultiHeadAttention of this "
            f"library. Received: a model that calls none, {model}"
        )
    weights = ops.mean(list(found.values())[-1], axis=(1, 2))  # (B K, H, 1, S) -> (B K, S), of the last layer
    read = ops.reshape(ops.cast(weights, "float32"), going.coverage.shape)
    return logits, total, cache, going.coverage + read


def collect(ended: Ended, going: Going, totals: Any, scores: Any, count: Any) -> Ended:
    """The hypotheses so far and those that a stop token ends now -> the best K of them.

    Args:
        ended: those so far.
        going: what is ended.
        totals: (B, K, E) log-probabilities with each stop token.
        scores: (B, K E) what they are ranked by.
        count: () the number of tokens before the stop token.
    """
    batch, size, stops = totals.shape
    shape = (batch, size * stops)
    everything = Ended(
        text=ops.concatenate([ended.text, ops.repeat(going.text, stops, axis=1)], axis=1),  # (B, K + K E, M)
        length=ops.concatenate([ended.length, ops.broadcast_to(count, shape)], axis=1),
        total=ops.concatenate([ended.total, ops.reshape(totals, shape)], axis=1),
        score=ops.concatenate([ended.score, scores], axis=1),
        stopped=ops.concatenate([ended.stopped, ops.ones(shape, "bool")], axis=1),
    )
    return best_of(everything, size)


def best_of(hypotheses: Ended, size: int) -> Ended:
    """The best K, best first."""
    score, best = ops.top_k(hypotheses.score, size)  # (B, K)
    return Ended(
        text=ops.take_along_axis(hypotheses.text, best[..., None], axis=1),
        length=ops.take_along_axis(hypotheses.length, best, axis=1),
        total=ops.take_along_axis(hypotheses.total, best, axis=1),
        score=score,
        stopped=ops.take_along_axis(hypotheses.stopped, best, axis=1),
    )


def divisor(length: Any, penalty: Any) -> Any:
    """What the log-probability of so many tokens, a floating-point number with the stop token, is divided by."""
    return ((5.0 + length) / 6.0) ** penalty
