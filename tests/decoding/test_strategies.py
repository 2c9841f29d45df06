"""Tokens are drawn as often as they are probable, and exactly those that the cut-offs leave."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import ops
from scipy import stats

from suite import layers
from suite.decoding import Beam, Greedy, Sample, generate
from suite.decoding.prompts import uniforms
from suite.decoding.steps import penalize

N = 7


def choose(strategy, logits, uniform):
    numbers = {name: ops.convert_to_tensor(np.float32(number)) for name, number in strategy.numbers.items()}
    rows = np.tile(np.float32(logits), (len(uniform), 1))
    found = strategy.choose(ops.convert_to_tensor(rows), ops.convert_to_tensor(np.float32(uniform)), numbers)
    return ops.convert_to_numpy(found)


def fits(counts, probabilities):
    """Whether the counts could be of draws with these probabilities."""
    assert counts[probabilities == 0].sum() == 0
    kept = probabilities > 0
    return stats.chisquare(counts[kept], probabilities[kept] * counts.sum()).pvalue > 0.01


def test_frequencies_are_the_models_probabilities():
    keras.utils.set_random_seed(3)
    decoder = layers.Decoder(1, layers.DecoderBlock(2, feed_forward=5), position=layers.Rotary())
    model = layers.LanguageModel(layers.TokenEmbedding(N, width=8), decoder)
    model.build((None, None))
    model.embedding.table.assign(np.random.default_rng(0).normal(size=(N, 8)))
    logits = ops.convert_to_numpy(model(np.array([[3, 4]])))[0, -1].astype("float64")
    generated = generate(model, [[3, 4]] * 1500, max_tokens=1, strategy=Sample(temperature=1.5), seed=1)
    p = np.exp(logits / 1.5) / np.exp(logits / 1.5).sum()
    counts = np.bincount([tokens[0] for tokens in generated.tokens], minlength=N)
    assert fits(counts, p)
    assert not fits(counts, p[::-1])


@pytest.mark.parametrize(
    "strategy", [Sample(), Sample(temperature=0.5), Sample(top_k=3), Sample(top_p=0.7), Sample(min_p=0.4)], ids=repr
)
def test_frequencies_follow_the_settings(strategy):
    logits = np.log([0.3, 0.25, 0.05, 0.2, 0.1, 0.06, 0.04])
    counts = np.bincount(choose(strategy, logits, uniforms(2, 5000, 1)[:, 0]), minlength=N)
    kept, p, _ = reference(logits, strategy)
    expected = np.zeros(N)
    expected[kept] = p
    assert fits(counts, expected)


def reference(logits, strategy):
    """The tokens that stay, in the order in which they are drawn, their probabilities, how near a bound one is."""
    sort = strategy.top_k is not None or strategy.top_p is not None
    order = np.argsort(-logits, kind="stable") if sort else np.arange(len(logits))
    order = order[: strategy.top_k]
    p = np.exp((logits[order] - logits.max()) / strategy.temperature)
    p /= p.sum()
    before = p.cumsum() - p
    keep = np.ones(len(p), bool)
    distances = [1.0]  # from the bounds, where rounding might decide
    if strategy.top_p is not None:
        keep &= before < strategy.top_p
        distances += list(np.abs(before - strategy.top_p))
    if strategy.min_p is not None:
        keep &= p >= strategy.min_p * p.max()
        distances += list(np.abs(p / p.max() - strategy.min_p)[p < p.max()])
    return order[keep], p[keep] / p[keep].sum(), min(distances)


@settings(max_examples=60, deadline=None)
@given(
    logits=st.lists(st.integers(-40, 40), min_size=N, max_size=N, unique=True),
    strategy=st.builds(
        Sample,
        temperature=st.sampled_from([0.3, 1.0, 4.0]),
        top_k=st.none() | st.integers(1, N + 2),
        top_p=st.none() | st.floats(0.01, 1),
        min_p=st.none() | st.floats(0.01, 1),
    ),
)
def test_exactly_the_tokens_that_stay_can_be_drawn(logits, strategy):
    logits = np.array(logits) / 8
    kept, p, distance = reference(logits, strategy)
    assume(distance > 1e-4 and p.min() > 1e-5)  # float32 tells such numbers apart
    middles = np.pad(p.cumsum() - p / 2, (0, N - len(p)))  # a number for each token that stays
    assert choose(strategy, logits, middles)[: len(p)].tolist() == kept.tolist()
    ends = choose(strategy, logits, [0, 1 - 2**-23, *[0.5] * (N - 2)])[:2]
    assert ends.tolist() == [kept[0], kept[-1]]


def test_a_token_that_cannot_be_is_never_drawn():
    logits = [-np.inf, 0.0, -np.inf, 0.0, -np.inf, -np.inf, -np.inf]
    assert choose(Sample(), logits, [0, 0.25, 0.5, 1 - 2**-23, 0.75, 0.1, 0.9]).tolist() == [1, 1, 3, 3, 3, 1, 3]


def test_the_penalty_is_taken_once_from_each_token_of_the_text():
    logits = np.array([[2.0, -2.0, 1.0, 0.0, 5.0, -1.0, 3.0]] * 2, "float32")
    text = np.array([[0, 1, 1, 0], [6, 6, 6, 2]], "int32")
    found = penalize(ops.convert_to_tensor(logits), ops.convert_to_tensor(text), 2.0)
    expected = [[1, -4, 1, 0, 5, -1, 3], [2, -2, 0.5, 0, 5, -1, 1.5]]
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected)


def test_random_numbers_belong_to_seed_and_row():
    numbers = uniforms(3, 5, 40)
    assert numbers.shape == (5, 40)
    assert ((0 <= numbers) & (numbers < 1)).all()
    np.testing.assert_array_equal(uniforms(3, 2, 12), numbers[:2, :12])
    assert len(np.unique(numbers)) > 190


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Greedy(repetition_penalty=0), "Greedy expects repetition_penalty above 0.*repetition_penalty=0"),
        (lambda: Sample(temperature=0), "Sample expects temperature above 0. Received: temperature=0"),
        (lambda: Sample(temperature=float("nan")), "Received: temperature=nan"),
        (lambda: Sample(top_k=0), "top_k of at least 1, or None. Received: top_k=0"),
        (lambda: Sample(top_p=1.1), "top_p above 0 and at most 1, or None. Received: top_p=1.1"),
        (lambda: Sample(min_p=0), "min_p above 0.*Received: min_p=0"),
        (lambda: Beam(0), "size of at least 1. Received: size=0"),
        (lambda: Beam(3, n_best=4), "n_best from 1 to size=3. Received: n_best=4"),
        (lambda: Beam(3, length_penalty=-1), "length_penalty of at least 0. Received: length_penalty=-1"),
        (lambda: Beam(3, coverage_penalty=-1), "coverage_penalty of at least 0. Received: coverage_penalty=-1"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
