"""Beam search in one compiled loop.

Shapes: B batch, K size of the beam, M tokens to write, E stop tokens, N vocabulary, S length of the memory, C slots of
a cache.

Where a decoder obeys a mask of pairs, the K beginnings of a row share one cache: they are read as K tokens of one text,
each with a mask of the slots that it follows. So nothing is copied when beginnings change places, a prompt and a memory
are held once for all K, and K queries meet them in one product. Other decoders have B K rows, which change places.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from suite.decoding.steps import begin, predict
from suite.decoding.strategies import Beam
from suite.layers.cache import Cache
from suite.layers.capture import memory_weights
from suite.layers.decoder import BlockCache

_NEVER = float("-inf")  # the score of a hypothesis that does not exist
_SHARING = 16  # the largest beam that shares a cache, for each beginning meets the slots of all
_LEAST = 1e-6  # a position counts as read so much at least, for of zero there is no logarithm


class Going(NamedTuple):
    """The K best beginnings of each row.

    Attributes:
        text: (B, K, M) what was written.
        score: (B, K) sums of log-probabilities.
        token: (B K,) the last token of each, which the model has not read yet.
        position: (B K,) where it stands.
        cache: what the model keeps of all before it, for B K rows, or, where they share it, for B.
        follows: (B, K, C) booleans, the slots of a shared cache that each follows; or ``()``.
        coverage: (B, K, S) sums of the written tokens' attention to the memory; or ``()`` where nobody asks.
    """

    text: Any
    score: Any
    token: Any
    position: Any
    cache: Any
    follows: Any
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
        logits, total, cache, follows, coverage = look(model, going)
        vocabulary = logits.shape[-1]
        if size > vocabulary:
            raise ValueError(f"Beam expects a size of at most the vocabulary's {vocabulary}. Received: size={size}")
        bad = ops.logical_or(bad, ops.any(ops.isnan(total)))
        before = going.score[..., None] - total  # (B, K, 1)
        known = ops.minimum(stop, vocabulary - 1)
        endings = ops.where(stop < vocabulary, before + ops.take(logits, known, axis=-1), _NEVER)  # (B, K, E)
        counted = ops.repeat(coverage, endings.shape[-1], axis=1) if "coverage_penalty" in numbers else ()
        ranks = rank(ops.reshape(endings, (batch, -1)), count + 1, counted)  # (B, K E)
        ended = collect(ended, going, endings, ranks, count)
        score, parent, token = best_tokens(logits, before, stop)
        text = ops.take_along_axis(going.text, parent[..., None], axis=1)  # (B, K, M)
        if isinstance(follows, tuple):
            rows = ops.reshape(parent + size * ops.arange(batch, dtype="int32")[:, None], (-1,))  # (B K,)
            cache = tuple(part.take(rows, memory=False) for part in cache)  # rows stay with their prompt
        else:
            follows = ops.take_along_axis(follows, parent[..., None], axis=1)
        following = Going(
            text=ops.slice_update(text, (0, 0, count), token[..., None]),
            score=score,
            token=ops.reshape(token, (-1,)),
            position=going.position + 1,
            cache=cache,
            follows=follows,
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
    cache, follows = written.cache, ()
    if shares(model, cache, size):
        filled = cache[0].self_attention.key.shape[2] - length
        cache = tuple(part._replace(self_attention=part.self_attention.widen((size - 1) * length)) for part in cache)
        follows = ops.broadcast_to(ops.arange(filled + size * length) < filled, (batch, size, filled + size * length))
    else:
        cache = tuple(part.take(rows) for part in cache)
    alone = ops.broadcast_to(ops.where(ops.arange(size) == 0, 0.0, _NEVER), (batch, size))
    text = ops.zeros((batch, size, length), "int32")
    going = Going(
        text=text,
        score=ops.cast(alone, "float32"),
        token=ops.take(written.token, rows, axis=0),
        position=ops.take(written.position, rows, axis=0),
        cache=cache,
        follows=follows,
        coverage=(),
    )
    none = ops.full((batch, size), _NEVER, "float32")
    return going, Ended(text, ops.zeros((batch, size), "int32"), none, none, ops.zeros((batch, size), "bool"))


def shares(model: Any, cache: Any, size: int) -> bool:
    """Whether K beginnings can be read as K tokens of one text."""
    return (
        size <= _SHARING
        and getattr(model, "takes_pair_mask", False)
        and all(isinstance(part, BlockCache) and type(part.self_attention) is Cache for part in cache)
    )


def uncovered(prompt: dict[str, Any], size: int) -> Any:
    """The coverage (B, K, S) of a memory that nobody has read."""
    if "memory" not in prompt:
        raise ValueError("Beam expects a memory where it has a coverage_penalty. Received: memory=None")
    batch, length = prompt["memory_mask"].shape
    return ops.zeros((batch, size, length), "float32")


def look(model: Any, going: Going) -> tuple[Any, Any, Any, Any, Any]:
    """The last token of each beginning -> logits of the next (B, K, N), the log of their sum of exponentials (B, K, 1).

    With them come the cache, what each follows and the coverage (B, K, S) after one more token.
    """
    if isinstance(going.coverage, tuple):
        return *read_last(model, going), ()
    with memory_weights() as found:
        logits, total, cache, follows = read_last(model, going)
    if not found:
        raise ValueError(
            f"Beam expects a coverage_penalty of 0 where the memory is not read by a MultiHeadAttention of this "
            f"library. Received: a model that calls none, {model}"
        )
    weights = ops.mean(list(found.values())[-1], axis=1)  # of the last layer, (B K, 1, S) or (B, K, S)
    read = ops.reshape(ops.cast(weights, "float32"), going.coverage.shape)
    return logits, total, cache, follows, going.coverage + read


def read_last(model: Any, going: Going) -> tuple[Any, Any, Any, Any]:
    """What `look` returns but for the coverage."""
    batch, size, _ = going.text.shape
    if isinstance(going.follows, tuple):
        logits, total, cache = predict(model, going.token, going.position, going.cache)
        return ops.reshape(logits, (batch, size, -1)), ops.reshape(total, (batch, size, 1)), cache, ()
    own = going.cache[0].length + ops.arange(size)
    follows = ops.logical_or(going.follows, ops.arange(going.follows.shape[-1]) == own[:, None])
    tokens, positions = (ops.reshape(x, (batch, size)) for x in (going.token, going.position))
    logits, cache = model(tokens, positions=positions, pair_mask=follows, cache=going.cache, training=False)
    logits = ops.cast(logits, "float32")  # (B, K, N)
    return logits, ops.logsumexp(logits, axis=-1, keepdims=True), cache, follows


def best_tokens(logits: Any, before: Any, stop: Any) -> tuple[Any, Any, Any]:
    """The K best continuations that do not stop: their scores, the beginnings and the tokens, (B, K) each.

    The best of each beginning are found first, so that few of the vocabulary are added to, masked and compared.

    Args:
        logits: (B, K, N).
        before: (B, K, 1) what is added to a logit for the score.
        stop: (E,) the tokens that end a hypothesis.
    """
    batch, size, vocabulary = logits.shape
    few = min(size + stop.shape[0], vocabulary)
    best, tokens = ops.top_k(ops.reshape(logits, (-1, vocabulary)), few)  # (B K, few)
    tokens = ops.reshape(ops.cast(tokens, "int32"), (batch, -1))  # (B, K few)
    scores = ops.reshape(before + ops.reshape(best, (batch, size, few)), (batch, -1))
    score, best = ops.top_k(ops.where(ops.any(tokens[..., None] == stop, axis=-1), _NEVER, scores), size)  # (B, K)
    best = ops.cast(best, "int32")
    return score, best // few, ops.take_along_axis(tokens, best, axis=1)


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
