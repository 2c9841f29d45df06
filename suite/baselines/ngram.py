"""Language models by counting: interpolated Kneser-Ney n-grams, and single tokens by their frequency.

Shapes: P places, each with a token to predict; N tokens of a row; V tokens known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.baselines.kneser_ney import START, Places, count, fit_discounts, look_up, mix, of_contexts, places_of
from suite.data import stream
from suite.errors import InputError
from suite.writing import Ending, answer, settled

if TYPE_CHECKING:
    from suite.task import Writing

ORDERS = {"characters": 7, "subwords": 5}  # the most tokens of an n-gram, the predicted one among them
FITTED = 40_000  # validation tokens on which order and discounts are chosen
GAIN = 1e-3  # nats by which one more order has to be better
SAMPLES, SAMPLE_TOKENS = 8, 200
UNKNOWN = 1
_AT_ONCE = 1 << 17  # places that are looked up together


def kneser_ney(train: Sequence[Any], validation: Sequence[Any], settings: Any, seed: int) -> NGram:
    """Counts n-grams in train; chooses their order, and what is taken off counts, on validation.

    Args:
        train: examples with a ``text``.
        validation: the same.
        settings: has `level` and `vocabulary`; see `suite.data.stream.learn`.
        seed: of the sampled texts.

    Raises:
        InputError: train has no text.
    """
    return _fit(train, validation, settings, seed, longest=ORDERS[settings.level])


def unigram(train: Sequence[Any], validation: Sequence[Any], settings: Any, seed: int) -> NGram:
    """Each token by its frequency in train, whatever stands before it. See `kneser_ney`."""
    return _fit(train, validation, settings, seed, longest=1)


def _fit(train: Sequence[Any], validation: Sequence[Any], settings: Any, seed: int, *, longest: int) -> NGram:
    texts = [example["text"] for example in train]
    if not any(texts):
        raise InputError("nothing to train on: expected at least one text")
    json = stream.learn(texts, level=settings.level, size=settings.vocabulary)
    known = stream.tokenizer(json, level=settings.level)
    row = stream.join(train, known).tokens
    counted = count(places_of(row), size=known.size, order=longest)
    held = stream.join(validation or train[:1], known)
    places = places_of(held.tokens)
    scored = np.flatnonzero(np.roll(held.owners, -1) >= 0)[:FITTED]
    seen = look_up(counted, Places(places.row, places.at[scored], places.first[scored]), size=known.size)
    best = fit_discounts([seen[0].top], size=known.size)
    for order in range(2, longest + 1):
        found = fit_discounts([*(each.lower for each in seen[: order - 1]), seen[order - 1].top], size=known.size)
        if found[1] > best[1] - GAIN:
            break
        best = found
    return NGram(json=json, level=settings.level, row=row, discounts=best[0], seed=seed, chosen=best[1])


class NGram:
    """A fitted model, called with examples.

    A pickle of it holds the training tokens; they are counted again when it is loaded.

    Args:
        json, level: the tokenizer's.
        row: the training tokens.
        discounts: (N, 3), one row an order.
        seed: of the sampled texts.
        chosen: the loss on validation by which order and discounts were chosen, in nats a token.
    """

    def __init__(
        self, *, json: str, level: stream.Level, row: np.ndarray, discounts: np.ndarray, seed: int, chosen: float
    ):
        self.state = {
            "json": json, "level": level, "row": row, "discounts": discounts, "seed": seed, "chosen": chosen
        }  # fmt: skip
        self.tokenizer = stream.tokenizer(json, level=level)
        self.discounts, self.seed = discounts, seed
        self.orders = count(places_of(row), size=self.tokenizer.size, order=len(discounts))
        self.weights = [order.lower for order in self.orders[:-1]] + [self.orders[-1].top]
        pairs = zip(self.orders, self.weights, strict=True)
        self._contexts = [of_contexts(order, weights, self.tokenizer.size) for order, weights in pairs]
        self.parameters = sum(len(order.grams) for order in self.orders) + discounts.size
        self.note = f"order {len(discounts)}, chosen with its discounts on validation ({chosen:.4f} nats a token)"

    def __getstate__(self) -> dict[str, Any]:
        return self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """For each example the nats of its tokens; the first has sampled texts beside."""
        row = stream.join(examples, self.tokenizer)
        nats = stream.by_example(self.nats(row.tokens), np.roll(row.owners, -1), len(examples))
        writing = settled_for_samples(self.seed)
        samples = [self.draw([START], writing, number)[0] for number in range(SAMPLES)]
        return [{"nats": each, "samples": [] if number else samples} for number, each in enumerate(nats)]

    def nats(self, row: np.ndarray) -> np.ndarray:
        """``-log p`` of the tokens from the second of a row on, and of the start token that ends it, (N,)."""
        places = places_of(row)
        parts = []
        for start in range(0, len(row), _AT_ONCE):
            some = Places(row, places.at[start : start + _AT_ONCE], places.first[start : start + _AT_ONCE])
            seen = look_up(self.orders, some, size=self.tokenizer.size)
            chosen = [*(both.lower for both in seen[:-1]), seen[-1].top]
            p, _ = mix(chosen, self.discounts, size=self.tokenizer.size)
            parts.append(-np.log(p) + np.where(some.tokens == UNKNOWN, self.tokenizer.charge, 0.0))
        return np.concatenate(parts) if parts else np.empty(0)

    def probabilities(self, history: Sequence[int]) -> np.ndarray:
        """Of each token to come after these, (V,); before the first of them there are start tokens alone."""
        size = self.tokenizer.size
        p = np.full(size, 1 / (size - 1))
        p[0] = 0.0
        context = 0
        for number, (order, weights, off) in enumerate(zip(self.orders, self.weights, self.discounts, strict=True)):
            if number:
                token = history[-number] if number <= len(history) else START
                key = context * size + token
                context = int(np.searchsorted(order.contexts, key))
                if context == len(order.contexts) or order.contexts[context] != key:
                    break
            totals, kinds = self._contexts[number]
            begin, end = np.searchsorted(order.grams, [context * size, (context + 1) * size])
            counts = weights[begin:end]
            p *= kinds[context] @ off / totals[context]
            p[order.grams[begin:end] - context * size] += (counts - off[np.minimum(counts, 3) - 1]) / totals[context]
        return p

    def write(self, examples: Sequence[Mapping[str, Any]], writing: Writing) -> list[list[dict[str, Any]]]:
        """Continues prompts; see `suite.task.Task.write`. The other prompts do not change what is drawn for one."""
        writing = settled(writing, beams=False)
        written = []
        for example in examples:
            drawn = [self.draw(self._prompt(example), writing, number) for number in range(writing.n_best)]
            answers = [answer(text, log_probability=score, why=why) for text, score, why in drawn]
            written.append(sorted(answers, key=lambda each: -each["score"]))
        return written

    def stream(self, example: Mapping[str, Any], writing: Writing) -> Iterator[str]:
        """The pieces of the first text that is drawn."""
        writing = settled(writing, beams=False)
        return (text for text, _, _ in self._steps(self._prompt(example), writing, 0) if text)

    def draw(self, history: Sequence[int], writing: Writing, number: int) -> tuple[str, float, str]:
        """A text, its log-probability, and why it ended: ``"stop"`` or ``"length"``."""
        steps = list(self._steps(history, writing, number))
        return "".join(text for text, _, _ in steps), math.fsum(score for _, score, _ in steps), steps[-1][2]

    def _prompt(self, example: Mapping[str, Any]) -> list[int]:
        return [START, *self.tokenizer.encode(example["prompt"]).tolist()]

    def _steps(self, history: Sequence[int], writing: Writing, number: int) -> Iterator[tuple[str, float, str]]:
        """Token after token: the text that is certain by then, the token's log-probability, and why it ends."""
        random = np.random.default_rng([writing.seed, number])
        held, ending = list(history), Ending(self.tokenizer, writing.stop)
        for _ in range(writing.max_tokens or 0):
            p = self.probabilities(held)
            token = choose(p, writing, held, random.random())
            gain = math.log(p[token])
            if token == START:
                yield ending.close(), gain, "stop"
                return
            held.append(token)
            yield ending.add(token), gain, "stop" if ending.done else ""
            if ending.done:
                return
        yield ending.close(), 0.0, "length"


def settled_for_samples(seed: int) -> Writing:
    """How the texts are drawn whose variety is scored: by the model's own probabilities."""
    from suite.task import Writing

    return Writing(max_tokens=SAMPLE_TOKENS, temperature=1.0, seed=seed)


def choose(p: np.ndarray, writing: Writing, held: Sequence[int], uniform: float) -> int:
    """A token, by probabilities (V,) that are changed and cut as `suite.decoding.Sample` does it.

    Args:
        p: of each token.
        writing: how.
        held: the tokens so far.
        uniform: a random number in [0, 1).
    """
    with np.errstate(divide="ignore"):
        logits = np.log(p)
    if writing.repetition_penalty is not None:
        logits[np.unique(held)] *= writing.repetition_penalty
    if not writing.temperature:
        return int(logits.argmax())
    order = np.argsort(-logits, kind="stable")[: writing.top_k]
    weights = np.exp((logits[order] - logits[order[0]]) / writing.temperature)
    weights /= weights.sum()
    kept = np.ones(len(weights), bool)
    if writing.top_p is not None:
        kept &= np.cumsum(weights) - weights < writing.top_p
    if writing.min_p is not None:
        kept &= weights >= writing.min_p * weights[0]
    reached = np.cumsum(np.where(kept, weights, 0.0))
    return int(order[np.searchsorted(reached, uniform * reached[-1], side="right")])
