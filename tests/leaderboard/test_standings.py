"""Ranks, ties, means and overall ranks of boards of which the answer is known."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import leaderboard
from leaderboard import references, report
from leaderboard.standings import _letters, _ranks, study
from suite.task import Result


def rows(model, seed, value, **changes):
    defaults = {
        "run_id": f"{model}-{seed}-{changes.get('task', 't')}-{changes.get('dataset', 'd')}",
        "timestamp": f"2025-01-31T12:00:0{seed}+00:00",
        "suite_version": "0.1.0",
        "task": "t",
        "task_version": 1,
        "dataset": "d",
        "dataset_hash": "0a",
        "split": "test",
        "config_hash": model,
        "metric": "quality",
        "n_examples": 200,
        "device": "CPU",
        "params": 10,
        "train_seconds": 2.0 + seed,
    }
    scores = {} if value is None else {"quality": value}
    return leaderboard.rows(Result(**{"model": model, "seed": seed, "scores": scores, **defaults, **changes}))


def board(*some):
    made = [row for each in some for row in each]
    return pd.DataFrame(
        {name: pd.array([row[name] for row in made], dtype=c.dtype) for name, c in leaderboard.COLUMNS.items()}
    )


def told(folder, run_id, right):
    """A run's outcomes; its accuracy."""
    (folder / run_id).mkdir(parents=True)
    lines = "".join(json.dumps({"right": bool(each)}) + "\n" for each in right)
    (folder / run_id / "outcomes.jsonl").write_text(lines, encoding="utf-8")
    return float(np.mean(right))


def accuracy(model, seed, value):
    return rows(model, seed, None, metric="accuracy", scores={"accuracy": value})


@pytest.fixture
def known(tmp_path):
    """Two models of equal quality, one that is worse and the floor, of three seeds with outcomes each."""
    generator = np.random.default_rng(0)
    hard = generator.uniform(0.5, 1, 200)
    return tmp_path, board(
        *[
            accuracy(model, seed, told(tmp_path, f"{model}-{seed}-t-d", generator.random(200) < hard * factor))
            for model, factor in (("a", 1.0), ("b", 1.0), ("worse", 0.5), ("majority", 0.1))
            for seed in range(3)
        ]
    )


def test_models_that_no_test_separates_share_a_rank(known):
    folder, table = known
    found = leaderboard.summary(table, runs=[folder]).set_index("label")
    assert found["rank"].to_dict() == {"a": 1, "b": 1, "worse": 3, "majority": 4}
    assert found.loc["a", "ties"] == found.loc["b", "ties"] == "a"
    assert set(found["certainty"]) == {"seeds and examples"}
    assert (found["low"] < found["mean"]).all()
    assert (found["mean"] < found["high"]).all()
    assert found.loc["a", "over_floor"] == pytest.approx(found.loc["a", "mean"] - found.loc["majority", "mean"])
    assert found["kind"].to_dict() == {"a": "model", "b": "model", "worse": "model", "majority": "floor"}


def test_without_outcomes_seeds_alone_are_tested_and_it_is_said(known):
    found = study(known[1])
    assert set(found.summary["certainty"]) == {"seeds only"}
    assert set(found.pairs["certainty"]) == {"seeds only"}


def test_seeds_alone_are_tested_by_welch():
    table = board(
        *[rows("a", s, v) for s, v in enumerate((0.8, 0.9, 0.7))], *[rows("b", s, v) for s, v in enumerate((0.5, 0.55))]
    )
    (pair,) = study(table).pairs.to_dict("records")
    expected = stats.ttest_ind([0.8, 0.9, 0.7], [0.5, 0.55], equal_var=False)
    assert pair["p"] == pytest.approx(expected.pvalue)
    assert (pair["low"], pair["high"]) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_one_seed_without_outcomes_cannot_be_told(known):
    table = known[1][known[1]["seed"] == 0]
    found = study(table)
    assert set(found.summary["rank"]) == {1}
    assert found.summary["low"].isna().all()
    assert found.pairs["real"].isna().all()
    assert set(found.pairs["test"]) == {"cannot tell"}


def test_one_seed_with_outcomes_tests_the_examples_alone(known):
    folder, table = known
    found = study(table[table["seed"] == 0], runs=[folder])
    assert set(found.pairs["certainty"]) == {"examples only"}
    assert set(found.pairs["test"]) == {"McNemar"}
    assert found.summary.set_index("label").loc["worse", "rank"] > 1


def test_seeds_that_change_nothing_and_no_outcomes_cannot_be_told():
    found = study(board(*[rows(m, s, v) for m, v in (("a", 0.5), ("b", 0.4)) for s in range(3)]))
    assert found.pairs["real"].isna().all()


def test_the_same_answers_are_no_difference(tmp_path):
    right = [True, False] * 100
    table = board(*[accuracy(m, s, told(tmp_path, f"{m}-{s}-t-d", right)) for m in "ab" for s in range(3)])
    (pair,) = study(table, runs=[tmp_path]).pairs.to_dict("records")
    assert (pair["test"], pair["p"], pair["real"]) == ("same answers", 1.0, False)


def test_there_is_no_mean_over_a_seed_that_failed():
    table = board(
        rows("a", 0, 0.5),
        rows("a", 1, 0.6),
        rows("a", 2, None, status="diverged"),
        rows("b", 0, 0.4),
        rows("b", 1, 0.3),
    )
    found = leaderboard.summary(table).set_index("label")
    assert found["mean"].isna().to_dict() == {"a": True, "b": False}
    assert found.loc["a", "missing"] == "seed 2 diverged"


def test_a_seed_that_was_run_again_counts_once_and_the_newest_counts():
    again = rows("a", 0, 0.9, run_id="again", timestamp="2026-01-01T00:00:00+00:00")
    failed = rows("a", 0, None, run_id="later", timestamp="2027-01-01T00:00:00+00:00", status="failed")
    found = leaderboard.summary(board(rows("a", 0, 0.5), again, failed))
    assert found["mean"].tolist() == [0.9]
    assert found["seeds"].tolist() == [1]


def test_configurations_are_models_of_their_own():
    found = leaderboard.summary(board(rows("a", 0, 0.5), rows("a", 1, 0.6, config_hash="other"), rows("b", 0, 0.1)))
    assert sorted(found["label"]) == ["a (a)", "a (other)", "b"]


def test_what_may_not_be_compared_is_kept_apart_and_named():
    table = board(
        rows("a", 0, 0.5),
        rows("b", 0, 0.6, task_version=2),
        rows("c", 0, 0.7, dataset_hash="0b"),
        rows("d", 0, 0.8, split="validation"),
        rows("e", 0, None, metric="other", scores={"other": 0.9}),
    )
    found = study(table)
    assert len(found.results) == 5
    assert found.pairs.empty
    assert found.problems == ["t on d, test: kept apart, as task_version, dataset_hash, metric differ"]


def test_speeds_are_not_averaged_over_devices():
    found = leaderboard.summary(board(rows("a", 0, 0.5), rows("a", 1, 0.6, device="GPU")))
    assert found["train_seconds"].isna().all()
    assert found["params"].tolist() == [10]


def test_scores_that_are_no_numbers_and_runs_with_two_values_are_left_out_and_named():
    table = board(rows("a", 0, 0.5), rows("b", 0, 0.6), rows("c", 0, 0.7), rows("d", 0, 0.2), rows("d", 0, 0.3))
    table.loc[1, "value"], table.loc[2, "value"] = np.inf, pd.NA
    found = study(table)
    assert list(found.summary["label"]) == ["a"]
    assert "2 scores are no finite numbers and were left out: run 'b-0-t-d', metric 'quality'" in found.problems[0]
    assert "several values for one metric were left out: run 'd-0-t-d'" in found.problems[1]


def test_scores_that_are_too_large_to_mean_anything_are_left_out_and_named():
    found = study(board(rows("a", 0, 0.5), rows("b", 0, 1e308), rows("c", 0, -1e101)))
    assert list(found.summary["label"]) == ["a"]
    (problem,) = found.problems
    assert (
        "2 scores are larger than 1e+100 and were left out: run 'b-0-t-d', metric 'quality', run 'c-0-t-d'" in problem
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [9e99, 1e60, 1.0, 1e-85, 1e-200])
@pytest.mark.parametrize("seconds", [1.0, 1e308])
def test_scores_of_any_other_size_are_judged_alike(size, seconds, tmp_path):
    """Squares of variances would not be numbers."""
    table = board(
        *[
            rows(model, seed, (level + 0.01 * (seed % 3)) * size, train_seconds=seconds)
            for model, level in (("a", 0.8), ("b", 0.79), ("worse", 0.2))
            for seed in range(4)
        ]
    )
    ranks = study(table).summary.set_index("label")["rank"].to_dict()
    known = min(size, size**2) > 0  # of smaller ones the variance is 0
    assert ranks == ({"a": 1, "b": 1, "worse": 3} if known else {"a": 1, "b": 1, "worse": 1})
    assert leaderboard.compare(table, table).worse == []
    assert "worse" in report.page(table, references.load(), output=tmp_path / "page.html")


def test_lower_is_better_turns_the_order():
    table = board(
        *[
            rows(m, s, v + s / 1000, lower_is_better=frozenset({"quality"}))
            for m, v in (("a", 0.5), ("b", 0.4))
            for s in range(3)
        ]
    )
    found = leaderboard.summary(table)
    assert list(found["label"]) == ["b", "a"]
    assert list(found["rank"]) == [1, 2]


def test_the_overall_rank_is_over_common_tasks_alone():
    table = board(
        *[
            rows(m, s, v + s / 1000, task=task, dataset=dataset)
            for task, dataset, order in (("t1", "d", "abc"), ("t2", "d", "bac"), ("t2", "e", "abc"), ("t3", "d", "ab"))
            for m, v in zip(order, (0.9, 0.8, 0.7), strict=False)
            for s in range(3)
        ]
    )
    found = study(table)
    ranks = found.overall.set_index("model")["mean_rank"].to_dict()
    assert ranks == {"a": (1 + 1.5) / 2, "b": (2 + 1.5) / 2, "c": 3.0}
    assert (found.overall["low"] <= found.overall["mean_rank"]).all()
    assert found.overall["contests"].tolist() == [3, 3, 3]
    assert "t3" not in found.overall_note


def test_without_two_common_contests_there_is_no_overall_rank():
    found = study(board(rows("a", 0, 0.5), rows("b", 0, 0.6)))
    assert found.overall.empty
    assert "no overall rank" in found.overall_note


@pytest.mark.parametrize(
    ("separated", "expected"),
    [
        (set(), ["a", "a", "a"]),
        ({(0, 1), (0, 2), (1, 2)}, ["a", "b", "c"]),
        ({(0, 2)}, ["a", "ab", "b"]),
        ({(0, 1), (0, 2)}, ["a", "b", "b"]),
    ],
)
def test_two_models_share_a_letter_where_they_are_not_separated(separated, expected):
    found = _letters([0, 1, 2], separated)
    assert [found[place] for place in range(3)] == expected


@pytest.mark.parametrize("models", [5, 60])
def test_ranks_share_their_mean_among_equals(models):
    values = np.random.default_rng(0).integers(0, 8, (3, models)).astype(float)
    assert (_ranks(values, False) == stats.rankdata(values, axis=-1)).all()
    assert (_ranks(values, True) == stats.rankdata(-values, axis=-1)).all()


def test_an_empty_board_is_an_empty_study(tmp_path):
    (tmp_path / "empty.csv").touch()
    found = study(leaderboard.read_csv(tmp_path / "empty.csv"))
    assert found.summary.empty
    assert list(found.summary.columns)[:2] == ["task", "dataset"]


def test_ten_thousand_rows_and_nine_thousand_pairs_take_less_than_two_seconds(tmp_path):
    some = [
        rows(f"m{m}", s, 0.5 + m / 100 + s / 1000, task=f"t{t}", config_hash=f"c{m}", run_id=f"{t}-{m}-{s}")
        for t in range(50)
        for m in range(20)
        for s in range(5)
    ]
    path = tmp_path / "board.csv"
    more = [dict(row, metric="other", primary=False) for each in some for row in each]
    leaderboard.append(path, [row for each in some for row in each] + more)
    study(leaderboard.read_csv(path)[:100])  # imports
    began = time.process_time()
    found = study(leaderboard.read_csv(path))
    assert len(found.summary) == 1000
    assert time.process_time() - began < 2
