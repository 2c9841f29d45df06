import numpy as np
import pytest

from suite.metrics.classification import best, calibration_error, scores


def test_accuracy_macro_f1_and_area_are_those_counted_by_hand():
    gold = ["a", "a", "b", "b"]
    predicted = [{"a": p, "b": 1 - p} for p in (0.9, 0.4, 0.3, 0.6)]
    found = scores(gold, predicted)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(0.5)
    # of the four pairs of an a and a b, b is the more b-like in three
    assert found["auc"] == pytest.approx(3 / 4)


def test_of_more_classes_the_area_is_the_mean_over_each_against_the_rest():
    gold = ["a", "b", "c"]
    right = [{name: 0.8 if name == wanted else 0.1 for name in gold} for wanted in gold]
    assert scores(gold, right)["auc"] == 1.0
    assert "auc" not in scores(["a", "b", "b"], right)


def test_a_class_that_is_not_named_has_no_probability():
    found = scores(["a", "b", "z"], [{"a": 1.0}, {"b": 1.0}, {"a": 1.0}], top=5)
    assert found["accuracy"] == found["top5_accuracy"] == pytest.approx(2 / 3)


def test_an_answer_among_the_first_counts():
    row = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert scores(["b", "c"], [row, row], top=2)["top2_accuracy"] == 0.5


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_accuracy():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 200_000)
    honest = random.uniform(size=200_000) < confidence
    assert calibration_error(confidence, honest) < 0.01
    assert calibration_error(confidence, random.uniform(size=200_000) < confidence - 0.2) == pytest.approx(
        0.2, abs=0.01
    )
    assert calibration_error(np.array([1.0]), np.array([True])) == 0


def test_ties_and_empty_splits():
    assert best({"b": 0.5, "a": 0.5}) == "a"
    with pytest.raises(ValueError, match="as many predictions as answers"):
        scores([], [])
