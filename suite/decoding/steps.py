"""Token after token: the step that streaming and whole generation share, and the loop of the latter.

Shapes: B batch, P prompt, M tokens to write, E stop tokens, N vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from suite.decoding.strategies import Strategy


class Written(NamedTuple):
    """Where the texts of a batch stand after some steps.

    Attributes:
        text: (B, P + M) the padded prompts, what was written, and in places to come the prompt's first token.
        token: (B,) the last token, which the model has not read yet.
        position: (B,) where it stands in its row, padding not counted.
        cache: what the model keeps of all before it.
        done: (B,) booleans, whether a stop token came; what is written from then on is 0.
        score: (B,) the sum of the written tokens' log-probabilities; NaN if a logit was.
    """

    text: Any
    token: Any
    position: Any
    cache: Any
    done: Any
    score: Any


def begin(model: Any, prompt: dict[str, Any], *, length: int) -> Written:
    """Padded prompts, and a memory if there is one -> the state before the first of at most `length` tokens."""
    tokens = prompt["tokens"]
    batch = tokens.shape[0]
    return Written(
        text=ops.concatenate([tokens, ops.repeat(tokens[:, :1], length, axis=1)], axis=1),
        token=tokens[:, -1],
        position=prompt["lengths"] - 1,
        cache=read(model, prompt, length=length),
        done=ops.zeros((batch,), "bool"),
        score=ops.zeros((batch,), "float32"),
    )


def read(model: Any, prompt: dict[str, Any], *, length: int) -> Any:
    """The cache of all tokens of the prompts but the last, with slots for `length` more."""
    tokens, mask = prompt["tokens"], prompt["mask"]
    before = tokens.shape[1] - 1
    memory = {name: prompt[name] for name in ("memory", "memory_mask") if name in prompt}
    cache = model.make_cache(tokens.shape[0], before + length, **memory)
    if before == 0:
        return cache
    start = prompt["lengths"][:, None] - tokens.shape[1]  # (B, 1), below 0 by the row's padding
    positions = ops.maximum(start + ops.arange(before, dtype="int32")[None], 0)  # (B, P - 1)
    _, cache = model(tokens[:, :-1], mask=mask[:, :-1], positions=positions, cache=cache, training=False)
    return cache  # nobody reads the logits, so a compiled program does not compute them


def predict(model: Any, token: Any, position: Any, cache: Any) -> tuple[Any, Any, Any]:
    """The last token of each row -> logits of the next (B, N), the log of their sum of exponentials (B, 1), cache."""
    logits, cache = model(token[:, None], positions=position[:, None], cache=cache, training=False)
    logits = ops.cast(logits[:, 0], "float32")  # (B, N)
    return logits, ops.logsumexp(logits, axis=-1, keepdims=True), cache


def advance(
    model: Any,
    written: Written,
    place: Any,
    uniform: Any,
    stop: Any,
    numbers: dict[str, Any],
    *,
    strategy: Strategy,
) -> Written:
    """One more token in each row.

    Args:
        model: called as a `LanguageModel` is.
        written: the state.
        place: () where in the text the token goes.
        uniform: (B,) random numbers.
        stop: (E,) the tokens that end a row.
        numbers: of the strategy.
        strategy: its sizes are compiled in.
    """
    logits, total, cache = predict(model, written.token, written.position, written.cache)
    weighed = (
        penalize(logits, written.text, numbers["repetition_penalty"]) if "repetition_penalty" in numbers else logits
    )
    token = strategy.choose(weighed, uniform, numbers)  # (B,)
    gain = (ops.take_along_axis(logits, token[:, None], axis=-1) - total)[:, 0]
    token = ops.where(written.done, 0, token)
    return Written(
        text=ops.slice_update(written.text, (0, place), token[:, None]),
        token=token,
        position=written.position + 1,
        cache=cache,
        done=ops.logical_or(written.done, ops.any(token[:, None] == stop[None], axis=-1)),
        score=ops.where(written.done, written.score, written.score + gain),
    )


def penalize(logits: Any, text: Any, penalty: Any) -> Any:
    """Logits (B, N), tokens (B, L) -> the logits with those of the tokens made smaller, once each."""
    batch, length = text.shape
    held = ops.take_along_axis(logits, text, axis=-1)  # (B, L)
    held = ops.where(held > 0, held / penalty, held * penalty)
    rows = ops.repeat(ops.arange(batch, dtype="int32"), length)
    places = ops.stack([rows, ops.reshape(text, (-1,))], axis=-1)  # (B L, 2)
    return ops.scatter_update(logits, places, ops.reshape(held, (-1,)))


def write(
    model: Any,
    prompt: dict[str, Any],
    limit: Any,
    uniform: Any,
    stop: Any,
    numbers: dict[str, Any],
    *,
    strategy: Strategy,
) -> tuple[Any, Any]:
    """Whole texts: until each row has stopped, or `limit` tokens, a number of at most M, are written.

    Args:
        model: as of `advance`, like stop, numbers and strategy.
        prompt: as of `begin`.
        limit: () integer.
        uniform: (B, M).
        stop: (E,).
        numbers: of the strategy.
        strategy: its sizes are compiled in.

    Returns:
        What was written, (B, M), and its score, (B,).
    """
    start, length = prompt["tokens"].shape[1], uniform.shape[1]

    def going(count: Any, written: Written) -> Any:
        return ops.logical_and(count < limit, ops.logical_not(ops.all(written.done)))

    def step(count: Any, written: Written) -> tuple[Any, Written]:
        column = ops.take(uniform, count, axis=1)
        return count + 1, advance(model, written, start + count, column, stop, numbers, strategy=strategy)

    first = (ops.zeros((), "int32"), begin(model, prompt, length=length))
    _, written = ops.while_loop(going, step, first)
    return written.text[:, start:], written.score
