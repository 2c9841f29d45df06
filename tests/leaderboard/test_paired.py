"""Tests of two runs, against other people's and by hand; Holm's correction."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from leaderboard import paired


def mean(sums):
    return sums[..., 0] / sums[..., 1]


def parts(values):
    return np.column_stack([values, np.ones(len(values))])


@pytest.mark.parametrize(("b", "c"), [(0, 6), (1, 9), (5, 12), (3, 3), (10, 15)])
def test_mcnemar_is_exact_where_few_differ(b, c):
    assert paired.mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue)
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    assert paired.mcnemar(b, c) == pytest.approx(contingency.mcnemar([[50, b], [c, 9]], exact=True).pvalue)


def test_mcnemar_leaves_out_half_of_what_was_seen_where_many_differ():
    b, c = 20, 40
    expected = stats.binomtest(b, b + c).pvalue - stats.binom.pmf(b, b + c, 0.5)
    assert paired.mcnemar(b, c) == pytest.approx(expected)
    assert paired.mcnemar(c, b) == pytest.approx(expected)


def test_false_alarms_of_mcnemar():
    generator = np.random.default_rng(0)
    chance = expit(1 + generator.normal(size=400))
    right = generator.random((2, 3000, 400)) < chance
    b, c = (right[0] & ~right[1]).sum(axis=1), (right[1] & ~right[0]).sum(axis=1)
    assert 0.04 <= np.mean([paired.mcnemar(int(x), int(y)) < 0.05 for x, y in zip(b, c, strict=True)]) <= 0.06


def test_randomization_of_few_examples_tries_every_exchange():
    first, second = np.array([3.0, 1, 4, 1, 5, 9]), np.array([2.0, 0, 1, 2, 3, 4])
    expected = stats.permutation_test(
        (first, second), lambda a, b, axis=-1: (a - b).mean(axis=axis), permutation_type="samples", vectorized=True
    ).pvalue
    assert paired.randomization(parts(first), parts(second), mean) == pytest.approx(expected)


def test_false_alarms_of_randomization_for_f1():
    """F1 of entities, which is no mean over sentences."""
    generator = np.random.default_rng(1)

    def f1(sums):
        return 2 * sums[..., 0] / sums[..., 1]

    alarms = 0
    for _ in range(500):
        gold, hard = generator.poisson(2, 80), generator.uniform(0.4, 0.9, 80)
        runs = []
        for _ in range(2):
            right = generator.binomial(gold, hard)
            runs.append(np.column_stack([right, gold + right + generator.poisson(0.5, 80)]).astype("float64"))
        alarms += paired.randomization(*runs, f1) < 0.05
    assert 0.03 <= alarms / 500 <= 0.075  # three standard errors of 500


def test_many_examples_are_tossed_in_blocks(monkeypatch):
    values = parts(np.random.default_rng(2).normal(size=31))
    monkeypatch.setattr(paired, "_BLOCK", 31 * 7)
    found = paired.tossed(values)
    assert found.shape == (paired.RANDOMIZATIONS, 2)
    assert found[:, 1].mean() == pytest.approx(15.5, abs=0.3)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (7, 10), (955, 1000)])
def test_wilsons_interval(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert paired.wilson(right, n) == pytest.approx((expected.low, expected.high))


def test_holm_agrees_with_statsmodels_and_skips_what_could_not_be_tested():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(3).uniform(0, 0.2, 11)
    assert paired.holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])
    holes = paired.holm(np.insert(p, 4, np.nan))
    assert np.isnan(holes[4])
    assert np.delete(holes, 4) == pytest.approx(paired.holm(p))


def test_holm_raises_one_false_alarm_among_ten_in_five_of_a_hundred():
    p = np.random.default_rng(4).uniform(size=(3000, 10))
    assert 0.04 <= np.mean([(paired.holm(row) < 0.05).any() for row in p]) <= 0.06
