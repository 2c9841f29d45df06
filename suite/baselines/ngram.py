"""Language models by counting: interpolated Kneser-Ney n-grams, and single tokens by their frequency.

    p_n(w | h) = (c(h w) - D(c(h w))) / c(h) + (D1 N1(h) + D2 N2(h) + D3 N3(h)) / c(h) * p_{n-1}(w | h shortened)

c is how often something was seen in the highest order, and in the lower ones with how many different tokens before it;
N1, N2, N3 are how many different tokens followed h once, twice, and more often, D1, D2, D3 what is taken off their
counts; p_0 is the same for all tokens but padding. Each order has its own D, found on validation by gradient descent.

Reference: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; Chen and Goodman 1999, "An
empirical study of smoothing techniques for language modeling", section 3. Differs from the latter: D is no function of
counts of counts.

Shapes: P places, each with a token to predict; V tokens known; G n-grams of an order; C contexts, which are what
stands before the last token of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from suite.data import stream
from suite.data.writing import Ending, answer, settled
from suite.errors import InputError

if TYPE_CHECKING:
    from suite.task import Writing

ORDERS = {"characters": 7, "subwords": 5}  # the most tokens of an n-gram, the predicted one among them
FITTED = 40_000  # validation tokens on which order and discounts are chosen
GAIN = 1e-3  # nats by which one more order has to be better
SAMPLES, SAMPLE_TOKENS = 8, 200
UNKNOWN, START = 1, 2  # numbers of tokens, in every vocabulary
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


class Places(NamedTuple):
    """Tokens to predict, in a row of tokens that is a ring.

    Args:
        row: (N,) tokens.
        at: (P,) where each token stands, from 1 to N; at N stands the first again.
        first: (P,) where the text begins of which it is the next token. Nothing before that is read.
    """

    row: np.ndarray
    at: np.ndarray
    first: np.ndarray

    def before(self, distance: int) -> np.ndarray:
        """The tokens so far before each, (P,); before a text there are start tokens alone."""
        return self.row[np.maximum(self.at - distance, self.first)].astype("int64")

    @property
    def tokens(self) -> np.ndarray:
        """(P,) the tokens themselves."""
        return self.row[self.at % len(self.row)].astype("int64")


def places_of(row: np.ndarray) -> Places:
    """All places of a row that begins with a start token."""
    index = np.arange(len(row))
    return Places(row, index + 1, np.maximum.accumulate(np.where(row == START, index, 0)))


class Order(NamedTuple):
    """The n-grams of one order.

    Args:
        contexts: (C,) rising, the keys of contexts: the number of the context without its first token, times V, plus
            that token.
        grams: (G,) rising, the keys of n-grams: the number of the context, times V, plus the last token.
        top: (G,) how often each was seen.
        lower: (G,) with how many different tokens before it; how often, where it begins with a start token.
    """

    contexts: np.ndarray
    grams: np.ndarray
    top: np.ndarray
    lower: np.ndarray


class Seen(NamedTuple):
    """What an order knows of some places.

    Args:
        counts: (P,) of the n-gram; 0 where it was never seen.
        totals: (P,) of its context; 0 where that was never seen.
        kinds: (P, 3) how many different tokens followed the context with a count of 1, 2, and more.
    """

    counts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray


class Both(NamedTuple):
    """`Seen` by either count of an `Order`."""

    top: Seen
    lower: Seen


def count(places: Places, *, size: int, order: int) -> list[Order]:
    """The n-grams of orders 1 to `order`."""
    orders: list[Order] = []
    contexts, context = np.zeros(1, "int64"), np.zeros(len(places.at), "int64")
    before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # of the order below: numbers, which start, counts
    for number in range(1, order + 1):
        grams, one, gram, top = np.unique(
            context * size + places.tokens, return_index=True, return_inverse=True, return_counts=True
        )
        if before is not None:
            shorter, starting, often = before
            different = np.bincount(shorter[one], minlength=len(often))
            orders[-1] = orders[-1]._replace(lower=np.where(starting, often, different))
        begins = places.before(number - 1) == START if number > 1 else np.zeros(len(context), bool)
        orders.append(Order(contexts, grams, top, top))
        before = gram, begins[one], top
        contexts, context = np.unique(context * size + places.before(number), return_inverse=True)
    return orders


def look_up(orders: Sequence[Order], places: Places, *, size: int) -> list[Both]:
    """What each order knows of the places."""
    found = []
    context = np.zeros(len(places.at), "int64")
    for number, order in enumerate(orders, start=1):
        if number > 1:
            context = _find(order.contexts, context, places.before(number - 1), size)
        gram = _find(order.grams, context, places.tokens, size)
        found.append(Both(*(_seen(order, counts, context, gram, size) for counts in (order.top, order.lower))))
    return found


def _find(keys: np.ndarray, context: np.ndarray, token: np.ndarray, size: int) -> np.ndarray:
    """The numbers of what is made of a context and a token; -1 where there is no such thing."""
    wanted = context * size + token
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((context >= 0) & (keys[place] == wanted), place, -1)


def _seen(order: Order, counts: np.ndarray, context: np.ndarray, gram: np.ndarray, size: int) -> Seen:
    totals, kinds = _contexts(order, counts, size)
    known = context >= 0
    return Seen(
        np.where(gram >= 0, counts[gram], 0),
        np.where(known, totals[context], 0),
        np.where(known[:, None], kinds[context], 0),
    )


def _contexts(order: Order, counts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The totals (C,) and kinds (C, 3) of an order's contexts."""
    owner, many = order.grams // size, len(order.contexts)
    totals = np.bincount(owner, counts, minlength=many)
    kinds = np.bincount(owner * 3 + np.minimum(counts, 3) - 1, minlength=3 * many).reshape(many, 3)
    return totals, kinds


def mix(seen: Sequence[Seen], discounts: np.ndarray, *, size: int) -> tuple[np.ndarray, list[Any]]:
    """The probabilities of the places' tokens, (P,), and for each order what the gradient needs.

    Args:
        seen: of each order, from the lowest.
        discounts: (N, 3).
        size: V.
    """
    p = np.full(len(seen[0].counts), 1 / (size - 1))
    steps = []
    for (counts, totals, kinds), off in zip(seen, discounts, strict=True):
        known = totals > 0
        share = known / np.maximum(totals, 1)
        rest = np.where(known, (kinds @ off) * share, 1.0)
        kind = np.where(counts > 0, np.minimum(counts, 3), 0)
        steps.append((p, rest, share, kind))
        p = (counts - np.concatenate([[0.0], off])[kind]) * share + rest * p
    return p, steps


def fit_discounts(seen: Sequence[Seen], *, size: int) -> tuple[np.ndarray, float]:
    """Discounts (N, 3), from 0 to 1, 2 and 3, and the places' mean loss in nats, which is least with them."""
    from scipy.optimize import minimize

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        p, steps = mix(seen, flat.reshape(-1, 3), size=size)
        slope = -1 / (len(p) * p)
        gradient = np.zeros((len(seen), 3))
        for number in reversed(range(len(seen))):
            below, rest, share, kind = steps[number]
            part = slope * share
            gradient[number] = (part * below) @ seen[number].kinds - np.bincount(kind, part, minlength=4)[1:]
            slope = slope * rest
        return float(-np.log(p).mean()), gradient.ravel()

    bounds = [(1e-3, highest) for _ in seen for highest in (1.0, 2.0, 3.0)]
    found = minimize(loss, np.tile([0.7, 1.0, 1.3], len(seen)), jac=True, bounds=bounds, method="L-BFGS-B")
    return found.x.reshape(-1, 3), float(found.fun)


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
        self._contexts = [_contexts(order, weights, self.tokenizer.size) for order, weights in pairs]
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
