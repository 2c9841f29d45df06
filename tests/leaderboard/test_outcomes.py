"""Outcomes of single examples: the sums in them give back each task's own scores."""

import json
import math

import numpy as np
import pytest

from leaderboard import outcomes
from leaderboard.outcomes import scores


def test_accuracy_error_and_the_mean_over_tasks():
    told = [{"task": task, "right": right} for task, right in [("a", True), ("a", False), ("b", True)]]
    assert scores("accuracy", told).value == pytest.approx((0.5 + 1.0) / 2)
    assert scores("error", told).value == pytest.approx(0.25)
    assert scores("accuracy/a", told).value == 0.5
    assert not scores("accuracy", told).plain
    assert scores("accuracy", [{"right": True}, {"right": False}]).plain


def test_entities():
    told = [
        {"tokens": 5, "tokens_right": 4, "right": [[0, 1, "PER"]], "missed": [[2, 3, "LOC"]], "invented": []},
        {"tokens": 3, "tokens_right": 3, "right": [[0, 1, "LOC"]], "missed": [], "invented": [[1, 2, "LOC"]]},
    ]
    assert scores("f1", told).value == pytest.approx(2 * 2 / (3 + 3))
    assert scores("precision/LOC", told).value == 0.5
    assert scores("recall", told).value == pytest.approx(2 / 3)
    assert scores("accuracy", told).value == pytest.approx(7 / 8)


def test_macro_f1_is_scikit_learns():
    from sklearn.metrics import f1_score

    gold, answers = list("aabbbcab"), list("abbbcaab")
    told = [{"label": g, "answer": a, "right": g == a} for g, a in zip(gold, answers, strict=True)]
    assert scores("macro_f1", told).value == pytest.approx(f1_score(gold, answers, average="macro"))


def test_language():
    told = [{"nats": 6.0, "tokens": 3, "characters": 7}, {"nats": 1.0, "tokens": 1, "characters": 2}]
    assert scores("loss", told).value == 7 / 4
    assert scores("perplexity", told).value == pytest.approx(math.exp(7 / 4))
    assert scores("bits_per_character", told).value == pytest.approx(7 / math.log(2) / 9)


@pytest.mark.parametrize("given", [["Ein Hund läuft weg .", "Das ist gut!"], ["Hund", "x y"], ["", "so so so so so"]])
def test_bleu_is_sacrebleus(given):
    from sacrebleu.metrics import BLEU

    right = ["Ein Hund läuft schnell weg.", "Das ist sehr gut!"]
    told = [{"given": g, "right": r} for g, r in zip(given, right, strict=True)]
    assert scores("bleu", told).value == pytest.approx(BLEU().corpus_score(given, [right]).score)


def test_drawn_scores_are_those_of_the_drawn_examples():
    told = [{"f1": value} for value in (0.0, 0.5, 1.0)]
    weights = np.array([[1.0, 1, 1], [0, 3, 0], [0, 1, 2]])
    assert scores("f1", told).drawn(weights) == pytest.approx([0.5, 0.5, 2.5 / 3])


def test_many_examples_are_drawn_in_blocks_with_the_same_variance():
    values = np.random.default_rng(0).normal(size=5000)
    found = scores("x", [{"x": float(value)} for value in values])
    drawn = found.drawn(np.random.default_rng(1).multinomial(1000, [1 / 1000] * 1000, size=2000))
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.002)
    assert drawn.std() == pytest.approx(values.std() / math.sqrt(5000), rel=0.1)


def test_a_score_that_the_outcomes_do_not_give_is_not_used():
    assert scores("accuracy", [{"right": True}], value=0.9) is None
    assert scores("accuracy", [{"right": "yes"}]) is None
    assert scores("auc", [{"right": True}]) is None
    assert scores("f1", [{"f1": math.nan}]) is None
    assert scores("f1", [{"f1": 0.5}, {"other": 1}]) is None


def test_reading_finds_the_first_folder_and_nothing_outside(tmp_path):
    (tmp_path / "a" / "r1").mkdir(parents=True)
    (tmp_path / "b" / "r1").mkdir(parents=True)
    (tmp_path / "outcomes.jsonl").write_text('{"right": true}\n', encoding="utf-8")
    for damaged in (b"", b"[1]\n", b"{\n", b"\xff", b'{"a": 1}\n{"b'):
        (tmp_path / "a" / "r1" / "outcomes.jsonl").write_bytes(damaged)
        assert outcomes.read([tmp_path / "a"], "r1") is None
    told = [{"right": True, "text": "a\u2028b"}, {"right": False}]
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in told)
    (tmp_path / "b" / "r1" / "outcomes.jsonl").write_text(lines, encoding="utf-8")
    assert outcomes.read([tmp_path / "a", tmp_path / "b"], "r1") == told
    for run_id in ("", ".", "..", "../b/r1", "r1/.", "\0", "x" * 9000, str(tmp_path)):
        assert outcomes.read([tmp_path / "a", tmp_path / "b"], run_id) is None
