"""Interpolated Kneser-Ney smoothing over any tokens: counting, looking up, and fitting what is taken off counts.

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

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

START = 2  # the number of the start token, in every vocabulary


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
    totals, kinds = of_contexts(order, counts, size)
    known = context >= 0
    return Seen(
        np.where(gram >= 0, counts[gram], 0),
        np.where(known, totals[context], 0),
        np.where(known[:, None], kinds[context], 0),
    )


def of_contexts(order: Order, counts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
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
