"""Scores of language models: sums over all tokens, whatever the texts' lengths."""

import math

import numpy as np
import pytest

from suite.metrics import language


def test_each_token_counts_as_much_however_texts_are_cut():
    nats = np.random.default_rng(3).uniform(0, 9, 101).astype("float32")
    whole = [nats]
    cut = [nats[:7], nats[7:8], nats[8:], np.empty(0, "float32")]
    for score in (language.loss, language.perplexity, lambda n: language.bits_per_character(n, 211)):
        assert score(cut) == pytest.approx(score(whole), rel=1e-12)
    assert language.perplexity(whole) == pytest.approx(math.exp(language.loss(whole)))
    assert language.perplexity(cut) != pytest.approx(np.mean([math.exp(part.mean()) for part in cut[:3]]))


def test_a_uniform_model_of_bytes_has_eight_bits():
    assert language.bits_per_character([np.full(13, math.log(256))], 13) == pytest.approx(8)
    assert language.bits_per_character([np.full(13, math.log(256))], 26) == pytest.approx(4)


def test_many_tokens_are_summed_exactly():
    nats = [np.full(10**6, 0.1, "float32")]
    assert language.loss(nats) == pytest.approx(float(np.float32(0.1)), rel=1e-9)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        language.loss([np.empty(0)])
    with pytest.raises(ValueError, match="need a character"):
        language.bits_per_character([np.ones(1)], 0)


def test_a_hopeless_model_has_a_finite_perplexity():
    assert math.isfinite(language.perplexity([np.array([1e6])]))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a b a b"], (2 / 4, 2 / 3, 2 / 2)),
        (["a b", "a b"], (2 / 4, 1 / 2, 0.0)),  # no run goes from one text into the next
        (["A a."], (2 / 3, 2 / 2, 1.0)),
        (["", " "], (0.0, 0.0, 0.0)),
        ([], (0.0, 0.0, 0.0)),
    ],
)
def test_distinct_runs_of_words(texts, expected):
    assert tuple(language.distinct(texts, size) for size in (1, 2, 3)) == pytest.approx(expected)


def test_loss_by_position_adds_up_to_the_loss():
    random = np.random.default_rng(5)
    nats = [random.uniform(0, 5, size) for size in (7, 11)]
    places = [random.integers(1, 5, size) for size in (7, 11)]
    table = language.by_position(nats, places)
    assert [place for place, _, _ in table] == sorted(set(np.concatenate(places).tolist()))
    assert sum(count for _, count, _ in table) == 18
    assert sum(count * mean for _, count, mean in table) / 18 == pytest.approx(language.loss(nats))
    assert language.by_position([], []) == []
