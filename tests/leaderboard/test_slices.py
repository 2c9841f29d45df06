import json
import math

import pytest
from typer.testing import CliRunner

import leaderboard
from leaderboard import contests, references, report, slices
from suite.cli import app
from suite.task import Result


def write(folder, model, seed, outcomes, **changes):
    """A run with these outcomes on the board and in its directory."""
    accuracy = sum(each["right"] for each in outcomes) / len(outcomes)
    result = Result(
        **{
            "run_id": f"{model}-{seed}", "timestamp": "2025-01-31T12:00:00+00:00", "suite_version": "0.1.0",
            "task": "sentiment", "task_version": 1, "dataset": "reviews", "dataset_hash": "0a", "split": "test",
            "model": model, "config_hash": "0b", "seed": seed, "metric": "accuracy", "scores": {"accuracy": accuracy},
            "n_examples": len(outcomes), **changes,
        }
    )  # fmt: skip
    leaderboard.append(folder / "board.csv", leaderboard.rows(result))
    (folder / result.run_id).mkdir()
    lines = "".join(json.dumps(each) + "\n" for each in outcomes)
    (folder / result.run_id / "outcomes.jsonl").write_text(lines, "utf8")


def outcomes(good, bad, examples=100):
    """Texts of two classes, of which so many are right in each."""
    for label, right in (("good", good), ("bad", bad)):
        for place in range(examples):
            yield {"label": label, "answer": "", "right": place < right}


def found(folder):
    board = report.read([folder / "board.csv"])
    (contest,) = contests.gather(contests.usable(board)[0], runs=[folder])
    return slices.of(contest, [folder])


def test_scores_and_gaps_of_each_class(tmp_path):
    for seed in range(2):
        write(tmp_path, "better", seed, list(outcomes(90, 80 + seed)))
        write(tmp_path, "other", seed, list(outcomes(60, 81 + seed)))
        write(tmp_path, "majority", seed, list(outcomes(100, 0)))
    bad, good = found(tmp_path)
    assert (bad.feature, bad.part, bad.examples, bad.best) == ("label", "bad", 100, "better")
    assert set(bad.gaps) == {"better", "other"}
    assert bad.gaps["better"].score == pytest.approx(0.805)
    assert math.isnan(bad.gaps["better"].low)
    other = good.gaps["other"]
    assert (other.score, other.behind) == (pytest.approx(0.6), pytest.approx(-0.3))
    # 30 of 100 pairs differ, all one way: the standard error is the root of 0.3 * 0.7 / 100
    assert (other.low, other.high) == (pytest.approx(-0.39, abs=0.015), pytest.approx(-0.21, abs=0.015))
    assert bad.gaps["other"].behind == pytest.approx(0.01)
    assert bad.gaps["other"].low < 0 < bad.gaps["other"].high


def test_a_part_in_which_nothing_differs_or_is_too_small_is_left_out(tmp_path):
    few = [{"label": "rare", "answer": "", "right": True}] * (slices.FEWEST - 1)
    write(tmp_path, "better", 0, [*outcomes(90, 50), *few])
    write(tmp_path, "other", 0, [*outcomes(80, 50), *few])
    assert [each.part for each in found(tmp_path)] == ["good"]


def test_the_board_shows_the_paired_gap_in_each_part_that_the_task_tells(tmp_path):
    """One run is of a version that told no parts; the examples are the same."""
    for model, wrong in (("better", range(0)), ("other", range(0, 60, 2))):
        told = [
            {"right": place not in wrong, "slices": {"negation": "yes" if place < 60 else "no"}} for place in range(200)
        ]
        write(tmp_path, model, 0, told)
        write(tmp_path, model, 1, [{"right": each["right"]} for each in told] if model == "better" else told)
    arguments = ["board", str(tmp_path / "board.csv"), "--runs", str(tmp_path), "--slices", "--format"]
    result = CliRunner().invoke(app, [*arguments, "json"])
    assert result.exit_code == 0, result.output
    # In the part without negation both are right throughout, so that it is left out.
    better, other = json.loads(result.stdout)["slices"]
    assert (better["feature"], better["part"], better["examples"]) == ("negation", "yes", 60)
    assert (better["label"], better["score"], better["behind"]) == ("better", 1.0, 0.0)
    assert (other["label"], other["score"], other["behind"], other["best"]) == ("other", 0.5, -0.5, "better")
    # 30 of 60 pairs differ: the standard error is the root of 0.5 * 0.5 / 60
    assert (other["low"], other["high"]) == (pytest.approx(-0.627, abs=0.02), pytest.approx(-0.373, abs=0.02))
    assert "negation" in CliRunner().invoke(app, [*arguments, "table"]).stdout


def test_without_all_outcomes_or_a_second_model_there_is_nothing_to_compare(tmp_path):
    write(tmp_path, "better", 0, list(outcomes(90, 80)))
    assert found(tmp_path) == []
    write(tmp_path, "other", 0, list(outcomes(80, 70)))
    assert len(found(tmp_path)) == 2
    (tmp_path / "other-0" / "outcomes.jsonl").unlink()
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([{"source": "a b"}, {"source": "a"}, {"source": "a b c"}], {"length": ["2 to 2", "1 to 1", "3 to 3"]}),
        (
            [{"right": []}, {"right": ["a b", "a"]}, {"right": ["a b"]}],
            {"answer": ["none", "one word", "several words"]},
        ),
        ([{"slices": {"negated": True}}, {"slices": {"negated": False}}, {}], {"negated": ["True", "False", ""]}),
        ([{"task": "qa1"}, {"task": "qa2"}], {"task": ["qa1", "qa2"]}),
        ([{"label": str(i)} for i in range(21)], {}),
        ([{"label": "same"}] * 3, {}),
    ],
)
def test_what_divides_the_examples_follows_from_their_keys(told, expected):
    assert slices.features(told) == expected


def test_parts_stand_in_their_natural_order(tmp_path):
    told = [{"task": f"qa{i % 11}", "right": i % 3 > 0} for i in range(330)]
    write(tmp_path, "better", 0, told)
    write(tmp_path, "other", 0, [{**each, "right": place % 5 > 3} for place, each in enumerate(told)])
    assert [each.part for each in found(tmp_path)] == [f"qa{i}" for i in range(11)]


def test_the_page_shows_them(tmp_path):
    write(tmp_path, "better", 0, list(outcomes(90, 80)))
    write(tmp_path, "other", 0, list(outcomes(60, 81)))
    board = report.read([tmp_path / "board.csv"])
    text = report.page(board, references.load(), output=tmp_path / "page.html", runs=tmp_path)
    assert "Where models differ" in text
    assert "0.6000 (-0.3000; -0." in text
