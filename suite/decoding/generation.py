"""From prompts to texts: whole, or token by token.

Shapes: B batch, S length of the memory, D width.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from keras import ops, tree

from suite.backend import compiled
from suite.decoding import beam, steps
from suite.decoding.prompts import bucket, pad_memory, pad_prompts, uniforms
from suite.decoding.strategies import Beam, Greedy, Strategy

Why = Literal["stop", "length"]

# From so many tokens in all caches on, TensorFlow takes XLA, which updates them in place. Without it each step copies
# them whole: a step of 16 rows of 280 tokens took 12.8 ms rather than 6.2, with one block of width 768 on a CPU. Where
# there is little to copy, what it takes longer to compile is not gained back.
_LARGE = 4096

_programs: weakref.WeakKeyDictionary[Any, dict[Any, Callable[..., Any]]] = weakref.WeakKeyDictionary()


class Hypothesis(NamedTuple):
    """A text.

    Attributes:
        tokens: what was written after the prompt, without the stop token.
        log_probability: the sum over these tokens and the stop token, if one came, in nats, as the model gives it:
            without temperature, penalties and cut-offs.
        score: what a beam search ranks by; otherwise the log-probability.
        why: ``"stop"`` where a stop token ended it, ``"length"`` where `max_tokens` did.
    """

    tokens: list[int]
    log_probability: float
    score: float
    why: Why


@dataclasses.dataclass(frozen=True)
class Generated:
    """What `generate` gives: for each prompt its hypotheses, the best first.

    Args:
        hypotheses: one of each prompt; with `Beam` up to `n_best` of them.
    """

    hypotheses: list[list[Hypothesis]]

    @property
    def tokens(self) -> list[list[int]]:
        """What was written after each prompt."""
        return [row[0].tokens for row in self.hypotheses]

    @property
    def scores(self) -> list[float]:
        """The log-probability of each."""
        return [row[0].log_probability for row in self.hypotheses]

    @property
    def why(self) -> list[Why]:
        """What ended each."""
        return [row[0].why for row in self.hypotheses]


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    strategy: Strategy | None = None,
    stop: int | Sequence[int] = (),
    memory: Any = None,
    memory_mask: Any = None,
    seed: int | None = None,
) -> Generated:
    """Continues prompts, all at once, in one compiled program.

    Rows do not affect each other: not their tokens, not their random numbers, not by when they end. Lengths are rounded
    up to few, so a program that was compiled serves many calls; it is kept as long as the model. B is taken as it is.

    Args:
        model: a `LanguageModel`, or what is called as one and has `make_cache`; of an `EncoderDecoder` its
            `language_model`. It is built.
        prompts: token numbers; of a translation each is the token that starts a sequence.
        max_tokens: the most that are written for each prompt.
        strategy: `Greedy()`, which is the default, `Sample(...)` or `Beam(...)`.
        stop: the token or tokens that end a text.
        memory: (B, S, D), what a decoder with cross-attention reads.
        memory_mask: (B, S) booleans, True at real positions of it.
        seed: of `Sample`. The same seed, prompt and place in the batch give the same tokens, also with other prompts
            beside it, and a larger `max_tokens` only adds to them. By default one is drawn from NumPy's global
            generator, which `keras.utils.set_random_seed` sets.

    Raises:
        ValueError: for an empty prompt, a negative `max_tokens`, more positions than the model knows, a memory of
            another batch, a beam larger than the vocabulary, and where the model gives NaN.

    Example:

    >>> import keras
    >>> from suite.layers import Decoder, DecoderBlock, LanguageModel, Rotary, TokenEmbedding
    >>> decoder = Decoder(1, DecoderBlock(2, feed_forward=16), position=Rotary())
    >>> model = LanguageModel(TokenEmbedding(11, width=8), decoder)
    >>> model.build((None, None))
    >>> generated = generate(model, [[4, 2, 7], [3]], max_tokens=5)
    >>> [len(tokens) for tokens in generated.tokens], generated.why
    ([5, 5], ['length', 'length'])
    """
    strategy = strategy or Greedy()
    if not len(prompts):
        return Generated([])
    prompt, stops = _prepare(model, prompts, max_tokens, stop, memory, memory_mask)
    if max_tokens == 0:
        return Generated([[Hypothesis([], 0.0, 0.0, "length")] for _ in prompts])
    uniform = uniforms(_seed(seed), len(prompts), bucket(max_tokens))
    arguments = _tensors((prompt, np.int32(max_tokens), uniform, stops, _numbers(strategy)))
    rows = len(prompts) * (strategy.size if isinstance(strategy, Beam) else 1)
    xla = rows * (prompt["tokens"].shape[1] + uniform.shape[1]) >= _LARGE
    if isinstance(strategy, Beam):
        return _searched(_program(model, beam.search, xla=xla, strategy=strategy)(*arguments), strategy)
    written = _program(model, steps.write, xla=xla, strategy=strategy)(*arguments)
    text, scores = (ops.convert_to_numpy(x) for x in written)
    _refuse_nan(np.isnan(scores).any())
    return Generated([[_cut(row[:max_tokens], float(score), stops)] for row, score in zip(text, scores, strict=True)])


def stream(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    strategy: Strategy | None = None,
    stop: int | Sequence[int] = (),
    memory: Any = None,
    memory_mask: Any = None,
    seed: int | None = None,
) -> Iterator[list[int | None]]:
    """As `generate`, with the same tokens, one of each prompt at a time.

    Args:
        model: as of `generate`, like all that follow.
        prompts: likewise.
        max_tokens: likewise.
        strategy: likewise, but for `Beam`, which knows its tokens at the end alone.
        stop: likewise.
        memory: likewise.
        memory_mask: likewise.
        seed: likewise.

    Yields:
        For each prompt its next token, or None where it has ended.

    Raises:
        ValueError: as `generate`, as soon as the first token is asked for, and for `Beam`.
    """
    strategy = strategy or Greedy()
    if isinstance(strategy, Beam):
        raise ValueError(f"stream expects a strategy that writes token after token. Received: strategy={strategy}")
    if not len(prompts):
        return
    prompt, stops = _prepare(model, prompts, max_tokens, stop, memory, memory_mask)
    if max_tokens == 0:
        return
    length = bucket(max_tokens)
    uniform = uniforms(_seed(seed), len(prompts), length)
    prompt, stops_tensor, numbers = _tensors((prompt, stops, _numbers(strategy)))
    written = _program(model, steps.begin, length=length)(prompt)
    step, place = _program(model, steps.advance, strategy=strategy), prompt["tokens"].shape[1]
    done = np.zeros(len(prompts), bool)
    for count in range(max_tokens):
        written = step(written, *_tensors((np.int32(place + count), uniform[:, count])), stops_tensor, numbers)
        tokens, score = ops.convert_to_numpy(written.token), ops.convert_to_numpy(written.score)
        _refuse_nan(np.isnan(score).any())
        done |= np.isin(tokens, stops)
        if done.all():
            return
        yield [None if over else int(token) for over, token in zip(done, tokens, strict=True)]


def _prepare(
    model: Any, prompts: Sequence[Sequence[int]], max_tokens: int, stop: int | Sequence[int], memory: Any, mask: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """Arguments, checked, as arrays: the prompt with its memory, and the stop tokens (E,)."""
    if max_tokens < 0:
        raise ValueError(f"Generation expects max_tokens of at least 0. Received: max_tokens={max_tokens}")
    prompt: dict[str, Any] = pad_prompts(prompts)
    longest, needed = getattr(model, "longest", None), int(prompt["lengths"].max()) + max_tokens - 1
    if longest is not None and max_tokens and needed > longest:  # the last token is never read
        raise ValueError(
            f"{type(model).__name__} expects at most {longest} positions, those of its table. "
            f"Received: a prompt of {prompt['lengths'].max()} tokens and max_tokens={max_tokens}"
        )
    if memory is not None:
        if memory.shape[0] != len(prompts):
            raise ValueError(
                f"Generation expects a memory for each prompt. "
                f"Received: {len(prompts)} prompts and a memory of shape {tuple(memory.shape)}"
            )
        prompt |= pad_memory(memory, mask)
    return prompt, np.atleast_1d(np.array(stop, "int32"))


def _program(model: Any, function: Callable[..., Any], *, xla: bool = False, **static: Any) -> Callable[..., Any]:
    """A function of the model with these settings, compiled once as long as the model lives."""
    strategy = static.get("strategy")
    key = (function, xla, static.get("length"), type(strategy), strategy and strategy.sizes)
    programs = _programs.setdefault(model, {})
    if key not in programs:
        programs[key] = compiled(model, functools.partial(function, **static), xla=xla)
    return programs[key]


def _numbers(strategy: Strategy) -> dict[str, Any]:
    return {name: np.float32(number) for name, number in strategy.numbers.items()}


def _tensors(arrays: Any) -> Any:
    return tree.map_structure(ops.convert_to_tensor, arrays)


def _seed(seed: int | None) -> int:
    return int(np.random.randint(2**31)) if seed is None else seed


def _cut(row: np.ndarray, score: float, stops: np.ndarray) -> Hypothesis:
    """What was written until the first stop token."""
    ends = np.flatnonzero(np.isin(row, stops))
    tokens = row[: ends[0]] if ends.size else row
    return Hypothesis(tokens.tolist(), score, score, "stop" if ends.size else "length")


def _searched(found: tuple[beam.Ended, Any], strategy: Beam) -> Generated:
    ended, bad = tree.map_structure(ops.convert_to_numpy, found)
    _refuse_nan(bad)
    rows = []
    for results in zip(*ended, strict=True):
        row = []
        for text, length, total, score, stop in list(zip(*results, strict=True))[: strategy.n_best]:
            if np.isfinite(score):  # there may be fewer than were wanted
                row.append(Hypothesis(text[:length].tolist(), float(total), float(score), "stop" if stop else "length"))
        rows.append(row)
    return Generated(rows)


def _refuse_nan(found: Any) -> None:
    if found:
        raise ValueError(
            "Generation expects logits that are numbers. Received: NaN; weights may have diverged, "
            "or a position or cache been exceeded"
        )
