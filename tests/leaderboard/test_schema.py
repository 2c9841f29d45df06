"""What a result becomes: rows, cells, and the scores that are refused."""

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import leaderboard
from leaderboard.schema import COLUMNS, TEXT_LIMIT, from_cell, one_line, to_cell
from suite.task import Result

README = Path(leaderboard.__file__).parent / "README.md"


def result(**changes):
    defaults = {
        "run_id": "r1",
        "timestamp": "2025-01-31T12:00:00+00:00",
        "suite_version": "0.1.0",
        "task": "ner",
        "task_version": 1,
        "dataset": "tiny",
        "dataset_hash": "0a",
        "split": "test",
        "model": "transformer",
        "config_hash": "0b",
        "seed": 0,
        "metric": "f1",
        "scores": {"precision": 0.5, "loss": 7.5, "f1": 0.6, "recall": 0.75},
        "lower_is_better": frozenset({"loss"}),
        "n_examples": 100,
    }
    return Result(**{**defaults, **changes})


def test_a_row_for_each_score_with_the_primary_one_first():
    rows = leaderboard.rows(result(epochs=3, device="CPU"))
    assert [(row["metric"], row["value"]) for row in rows] == [
        ("f1", 0.6),
        ("precision", 0.5),
        ("loss", 7.5),
        ("recall", 0.75),
    ]
    assert [row["primary"] for row in rows] == [True, False, False, False]
    assert [row["higher_is_better"] for row in rows] == [True, True, False, True]
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert {row["schema_version"] for row in rows} == {leaderboard.SCHEMA_VERSION}
    assert {(row["epochs"], row["device"], row["params"]) for row in rows} == {(3, "CPU", None)}


def test_every_column_but_those_of_the_score_is_a_field_of_the_result():
    fields = {field.name for field in dataclasses.fields(Result)}
    assert set(COLUMNS) - fields == {"schema_version", "value", "primary", "higher_is_better"}
    assert fields - set(COLUMNS) == {"scores", "lower_is_better"}


@pytest.mark.parametrize("status", ["failed", "diverged", "n/a"])
def test_a_run_that_did_not_end_well_has_one_row_without_value(status):
    (row,) = leaderboard.rows(result(status=status, scores={"f1": math.nan}, note="loss is NaN\n  in step 7\r\n"))
    assert (row["metric"], row["value"], row["primary"], row["status"]) == ("f1", None, True, status)
    assert row["note"] == "loss is NaN   in step 7"


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"f1": math.nan}, "run 'r1', metric 'f1'.*finite"),
        ({"f1": 0.5, "loss": math.inf}, "run 'r1', metric 'loss'.*finite"),
        ({"f1": 60.0}, r"run 'r1', metric 'f1'.*\[0, 1\].*60"),
        ({"f1": 0.5, "token_accuracy": 1.01}, "metric 'token_accuracy'"),
        ({"f1": 0.5, "recall": -0.1}, "metric 'recall'"),
        ({"f1": 0.8, "precision": 0.5, "recall": 0.7}, "metric 'f1'.*between precision and recall"),
        ({"f1": 0.4, "precision": 0.5, "recall": 0.7}, "metric 'f1'.*between precision and recall"),
        ({"f1": 0.5, "macro_f1": 0.8, "macro_precision": 0.5, "macro_recall": 0.7}, "metric 'macro_f1'.*between"),
        ({"f1": 0.5, "loss": 2.0, "perplexity": 7.0}, r"metric 'perplexity'.*exp\(loss\) = 7\.389.*7\.0"),
        ({"f1": 0.5, "word_loss": 2.0, "word_perplexity": 7.0}, "metric 'word_perplexity'"),
        ({"precision": 0.5}, "run 'r1'.*'f1'.*Received: precision"),
        ({}, "run 'r1'.*'f1'.*no scores"),
    ],
)
def test_scores_that_cannot_be_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        leaderboard.rows(result(scores=scores))


@pytest.mark.parametrize(
    "scores",
    [
        {"f1": 0.7, "precision": 0.6999, "recall": 0.6999},  # rounded
        {"f1": 0.0, "precision": 0.0, "recall": 0.0},
        {"f1": 1.0, "macro_f1": 0.0, "macro_precision": 0.5, "macro_recall": 0.5},  # (1, 0) and (0, 1) on two classes
        {"f1": 0.5, "accuracy_gap": -0.2, "perplexity": 60.0},
        {"f1": 0.5, "loss": 2.0, "perplexity": 7.389},
        {"f1": 0.5, "loss": 800.0, "perplexity": 1e304},
        {"f1": 0.5, "accuracy": 0.7512},  # of tokens, among 100 sentences
    ],
)
def test_scores_that_can_be_are_kept(scores):
    assert {row["metric"]: row["value"] for row in leaderboard.rows(result(scores=scores))} == scores


def test_an_accuracy_is_a_whole_number_of_right_answers():
    assert leaderboard.rows(result(metric="accuracy", scores={"accuracy": 0.75}))
    assert leaderboard.rows(result(metric="accuracy", scores={"accuracy": 0.6667}, n_examples=3))  # rounded
    with pytest.raises(ValueError, match=r"'accuracy'.*whole number of right answers among 100.*75\.500 of them"):
        leaderboard.rows(result(metric="accuracy", scores={"accuracy": 0.755}))
    parts = {"accuracy": 0.755, "accuracy/1": 0.76, "accuracy/2": 0.75}
    assert len(leaderboard.rows(result(metric="accuracy", scores=parts))) == 3


def test_what_a_result_does_not_say_is_empty():
    (first, *_) = leaderboard.rows(result())
    assert (first["libraries"], first["certificate"], first["trials"]) == ("", "", None)


@given(st.floats(allow_nan=False))
@example(0.1 + 0.2)
@example(-0.0)
@example(5e-324)
def test_floats_come_back_to_the_last_bit(value):
    back = from_cell("value", to_cell("value", value))
    assert (back, math.copysign(1, back)) == (value, math.copysign(1, value))


@given(st.text(st.characters(codec="utf-8")) | st.from_regex("'*[=+@-].*"))
@example("=HYPERLINK(A1)")
@example("'=1")
@example("''-")
@example("\n=1")
def test_text_comes_back_and_is_never_a_formula(text):
    cell = to_cell("note", text)
    assert not cell.startswith(("=", "+", "-", "@"))
    assert from_cell("note", cell) == one_line(text)


@given(st.text())
def test_one_line_is_one_line_and_stays_as_it_is(text):
    line = one_line(text)
    assert len(line) <= TEXT_LIMIT
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line


def test_a_long_note_is_cut():
    (row,) = leaderboard.rows(result(status="failed", note="x" * 200_000))
    assert row["note"] == "x" * (TEXT_LIMIT - 1) + "…"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("epochs", 1.5),
        ("epochs", "3"),
        ("seed", 2**63),
        ("value", "high"),
        ("primary", "yes"),
        ("task", None),
        ("task", 3),
    ],
)
def test_a_value_of_the_wrong_type_has_no_cell(column, value):
    with pytest.raises(ValueError, match=f"{column}.*{COLUMNS[column].dtype}"):
        to_cell(column, value)


def test_the_readme_describes_every_column():
    lines = README.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines[lines.index("|---|---|---|---|") + 1 :] if line.count("|") == 5]
    assert table == [f"| {name} | {c.dtype} | {c.unit} | {c.meaning} |" for name, c in COLUMNS.items()]
