"""How certain a score is: values by hand, and simulated boards on which the truth is known.

Shapes: B draws, N examples, S seeds, K simulated boards.
"""

import itertools

import numpy as np
import pytest
from scipy import special, stats
from scipy.special import expit

from leaderboard import resampling
from leaderboard.resampling import Runs, draws, estimate, seeds_needed

BOARDS = 6000
EXAMPLES = 120
BEND = 1.5  # how much examples differ in difficulty, in logits
OWN = 0.5  # how much a model's strengths are its own


def simulate(generator, seeds, spread, hard):
    """Accuracies of K models, each with its own strengths, whose seeds differ by `spread` logits."""
    logits = 1 + hard + OWN * generator.normal(size=hard.shape)
    logits = logits + spread * generator.normal(size=(1, seeds, hard.shape[-1]))
    right = (generator.random((len(hard), seeds, hard.shape[-1])) < expit(logits)).astype("float64")  # (N, S, K)
    weights = draws(len(hard), count=250) / len(hard)
    drawn = (weights @ right.reshape(len(hard), -1)).reshape(len(weights), *right.shape[1:])  # (B, S, K)
    return Runs(right.mean(axis=0), drawn)


def difficulties(generator, boards=BOARDS):
    return BEND * generator.normal(size=(EXAMPLES, 1, boards))


@pytest.mark.parametrize("spread", [0.15, 0.6])
@pytest.mark.parametrize("seeds", [3, 5])
def test_false_alarms_are_five_in_a_hundred(seeds, spread):
    generator = np.random.default_rng([seeds, int(10 * spread)])
    hard = difficulties(generator)
    first, second = (simulate(generator, seeds, spread, hard) for _ in range(2))
    assert 0.04 <= (estimate(first, second).p < 0.05).mean() <= 0.06
    assert 0.04 <= (estimate(first.minus(second)).p < 0.05).mean() <= 0.06  # seed by seed


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.6])
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_hold_the_truth_in_95_of_a_hundred(seeds, spread):
    generator = np.random.default_rng([7, seeds, int(10 * spread)])
    truth = expit(1 + np.hypot(np.hypot(BEND, OWN), spread) * generator.normal(size=1_000_000)).mean()
    low, high = estimate(simulate(generator, seeds, spread, difficulties(generator))).interval()
    assert 0.935 <= ((low <= truth) & (truth <= high)).mean() <= 0.965


def test_the_plain_test_of_examples_alone_would_be_fooled_by_seeds():
    """What the two sources of chance are kept apart for."""
    generator = np.random.default_rng(1)
    hard = difficulties(generator, 1000)
    first, second = (simulate(generator, 3, 0.6, hard) for _ in range(2))
    found = estimate(first, second)
    alone = 2 * stats.norm.sf(np.abs(found.value) / np.sqrt(found.test_variance))
    assert (alone < 0.05).mean() > 0.2


def test_a_real_difference_is_found():
    generator = np.random.default_rng(2)
    hard = difficulties(generator, 500)
    better = simulate(generator, 5, 0.1, hard + 1.0)
    assert (estimate(better, simulate(generator, 5, 0.1, hard)).p < 0.05).mean() > 0.9


def test_without_outcomes_it_is_students_and_welchs_test():
    one, two = np.array([0.8, 0.9, 0.7]), np.array([0.5, 0.55, 0.6, 0.7])
    assert estimate(Runs(one), Runs(two)).p == pytest.approx(stats.ttest_ind(one, two, equal_var=False).pvalue)
    paired = estimate(Runs(one).minus(Runs(two[:3])))
    assert paired.p == pytest.approx(stats.ttest_rel(one, two[:3]).pvalue)
    low, high = estimate(Runs(one)).interval()
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, loc=0.8, scale=0.1 / np.sqrt(3)))


def test_the_variances_are_those_of_two_crossed_factors():
    """(mean square of examples + of seeds - of the rest) / (S N), by hand."""
    table = np.random.default_rng(3).normal(size=(200, 4)) + np.arange(4) * 0.3  # (N, S)
    n, s = table.shape
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    squares = (
        s * table.mean(axis=1).var(ddof=1),
        n * table.mean(axis=0).var(ddof=1),
        (rest**2).sum() / (n - 1) / (s - 1),
    )
    weights = draws(n, count=4000) / n
    found = estimate(Runs(table.mean(axis=0), weights @ table))
    assert found.variance == pytest.approx((squares[0] + squares[1] - squares[2]) / (n * s), rel=0.03)
    assert found.test_variance == pytest.approx(squares[0] / (n * s), rel=0.06)
    assert found.seed_variance == pytest.approx(squares[1] / (n * s))


def test_runs_that_never_vary_say_nothing():
    found = estimate(Runs(np.array([0.5, 0.5])), Runs(np.array([0.6, 0.6])))
    assert np.isnan(found.p)
    assert np.isnan(found.interval()).all()


def test_draws_are_the_same_each_time_and_take_n_of_n():
    assert (draws(7, count=5).sum(axis=1) == 7).all()
    assert (draws(7, count=5) == resampling._draws(7, 5, 0)).all()
    assert (draws(7, count=5, seed=1) != draws(7, count=5)).any()


@pytest.mark.parametrize("effect", [0.5, 0.8, 1.2])
def test_seeds_needed_agrees_with_statsmodels(effect):
    power = pytest.importorskip("statsmodels.stats.power")
    exact = power.TTestIndPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
    assert seeds_needed(effect, examples=0.0, seeds=2.0) == int(np.ceil(exact))


def test_seeds_needed_is_the_first_number_that_has_the_power():
    """Power grows with the number of seeds, so that a search by halves finds what a look at all of them does."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(200):
        value, ratio = 10 ** generator.uniform(-4, 0), 10 ** generator.uniform(-2, 3)
        steady, seeds = generator.choice([0.0, 0.01, 0.1, 0.2]) * value**2, ratio * value**2
        number = np.arange(2, 1001)
        variance = steady + seeds / number
        freedom = np.minimum(2 * (number - 1) * (variance * number / seeds) ** 2, 1e6)
        power = 1 - special.nctdtr(freedom, value / np.sqrt(variance), special.stdtrit(freedom, 0.975))
        enough = number[power >= 0.8]
        found.append(seeds_needed(value, examples=steady, seeds=seeds))
        assert found[-1] == (enough[0] if len(enough) else None)
    assert None in found
    assert len(set(found)) > 40


def test_no_size_of_the_variances_stops_the_search():
    sizes = (0.0, 5e-324, 1e-300, 1e-2, 1e300)
    for examples, seeds, value in itertools.product(sizes, sizes, (1e-300, 1e-2, 1e150)):
        found = seeds_needed(value, examples=examples, seeds=seeds)
        assert found is None or 2 <= found <= 1000


def test_where_the_test_set_is_too_small_no_seeds_help():
    assert seeds_needed(0.01, examples=0.01**2, seeds=1e-9) is None
    assert seeds_needed(0.1, examples=0.01**2, seeds=1e-9) == 2
    assert seeds_needed(0.0, examples=0.0, seeds=1.0) is None
