"""Question answering: windows without an answer out of reach, exact characters, odd data from file to answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

import leaderboard
from suite.cli import app
from suite.data import windows
from suite.data.splits import make_splits
from suite.errors import InputError
from suite.task import Spec
from tasks.qa import GIVEN, TASK, Features

CHARACTERS = [
    "a",
    "bank",
    "Bern",
    "1834",
    " ",
    " ",
    "\n",
    ".",
    "東",
    "京",
    "e\u0301",
    "👩\u200d🚀",
    "👍🏽",
    "\u0627\u064e",
    "İ",
]


def features(**options) -> Features:
    return Features(
        **{"vocabulary": 200, "max_length": 24, "max_question": 6, "overlap": 8, "max_answer": 9, **options}
    )


def example(context, answer=None, question="Which bank in Bern?", start=None):
    found = []
    if answer:
        found = [{"text": answer, "start": context.index(answer) if start is None else start}]
    return {"id": "x", "context": context, "question": question, "answers": found}


TRAIN = [example("The bank of Bern was founded in 1834.", "1834", "When was the bank of Bern founded?")] * 3
LONG = " ".join(f"The bank number {number} is at Bern." for number in range(40))


def places(encoded):
    """For each row, its gold places as a stretch of the context; `None` for nowhere."""
    found: list[tuple[int, int] | None] = []
    for (begin, end), window in zip(encoded.targets, encoded.origins, strict=True):
        first = window.begin - window.first
        offsets = window.offsets
        found.append((int(offsets[begin + first, 0]), int(offsets[end + first, 1])) if begin else None)
    return found


def test_a_row_is_the_place_for_nowhere_the_question_a_separator_and_the_context():
    spec = TASK.spec(TRAIN, features())
    encoded = TASK.encode(TRAIN[:1], spec)
    assert len(encoded) == 1
    rows = {name: arrays[0] for name, arrays in encoded.inputs.items()}
    assert {len(row) for row in rows.values()} == {17}
    assert rows["segments"].tolist() == [1] * 8 + [2] * 9
    assert rows["pieces"][0] == 2 != rows["pieces"][7] == 3
    assert encoded.origins[0].first == 8
    assert places(encoded) == [(32, 36)]
    assert encoded.notes == ("1 questions longer than 6 pieces lose their end",)
    again = TASK.encode(TRAIN[:1], Spec.from_json(spec.to_json()))
    assert all((again.inputs[name][0] == row).all() for name, row in rows.items())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=60), st.data())
def test_every_answer_lies_whole_in_a_row_or_is_counted(parts, data):
    context = "".join(parts)
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    spec = TASK.spec([*TRAIN, example("東京 bank 👍🏽 İ")], features())
    encoded = TASK.encode([example(context, context[start:end], start=start)], spec)
    found = [place for place in places(encoded) if place]
    told = " ".join(encoded.notes)
    if not found:
        assert "lie whole in no row" in told
        return
    assert len(set(found)) == 1
    begin, stop = found[0]
    visible = context[begin:stop].strip()
    assert begin <= start + len(context[start:end]) - len(context[start:end].lstrip())
    assert context[start:end].strip() in visible
    assert ("begin or end inside a piece" in told) == ((begin, stop) != (start, end))
    for row in zip(*encoded.inputs.values(), strict=True):
        assert len({len(array) for array in row}) == 1
        assert len(row[0]) <= 24


def test_long_contexts_are_read_in_rows_that_overlap_and_counted():
    spec = TASK.spec(TRAIN, features())
    for number in range(40):
        encoded = TASK.encode([example(LONG, f"number {number}")], spec)
        found = {place for place in places(encoded) if place}
        begin = LONG.index(f"number {number} ")
        assert found == {(begin, begin + len(f"number {number}"))}
    assert "contexts of 1 questions are longer than 24 pieces" in encoded.notes[0]
    assert f"in overlapping rows, {len(encoded)} in all" in encoded.notes[0]


def test_an_answer_longer_than_every_row_is_counted():
    encoded = TASK.encode([example(LONG, LONG[:300])], TASK.spec(TRAIN, features()))
    assert places(encoded) == [None] * len(encoded)
    assert "1 answers lie whole in no row, and are taken for none in training" in encoded.notes


def told(encoded, answers, *, sure=9.0):
    """What a model would give that finds these stretches of the contexts, example by example."""
    outputs = []
    for row, window in zip(encoded.inputs["pieces"], encoded.origins, strict=True):
        logits = np.zeros((2, len(row)), "float32")
        logits[:, 0] = sure / 2
        place = answers[window.example] and windows.covering(window.offsets, *answers[window.example])
        if place and window.begin <= place[0] and place[1] < window.end:
            for end in (0, 1):
                logits[end, place[end] - window.begin + window.first] = sure
        outputs.append(logits)
    return outputs


def test_answers_come_back_as_exact_characters_from_any_row():
    contexts = [LONG, "Am 4. trank 👩\u200d🚀 e\u0301te\u0301 in 東京 ein 👍🏽.", "Nothing."]
    answers = ["number 33", "東京", None]
    examples = [example(context, answer) for context, answer in zip(contexts, answers, strict=True)]
    spec = TASK.spec(TRAIN, features())
    encoded = TASK.encode(examples, spec)
    stretches = [
        (e["answers"][0]["start"], e["answers"][0]["start"] + len(e["answers"][0]["text"])) if e["answers"] else None
        for e in examples
    ]
    predictions = TASK.decode(told(encoded, stretches), encoded, spec)
    assert [prediction[0]["answer"] for prediction in predictions] == ["number 33", "東京", ""]
    for prediction, context in zip(predictions, contexts, strict=True):
        probabilities = [answer["probability"] for answer in prediction]
        assert len(prediction) <= GIVEN + 1
        assert 0 < sum(probabilities) <= 1 + 1e-9
        for answer in prediction:
            if answer["answer"]:
                assert context[answer["start"] : answer["end"]] == answer["answer"]
    shown = TASK.show(predictions[2], examples[2], 2)
    assert shown[0]["answer"] == "(no answer)"
    assert len(shown) == 2
    evaluation = TASK.evaluate(predictions, examples)
    assert evaluation.scores["f1"] == evaluation.scores["has_answer_exact"] == evaluation.scores["no_answer_f1"] == 1
    assert evaluation.outcomes[1] == {"id": "x", "given": "東京", "right": ["東京"], "f1": 1.0, "exact": 1.0}


def test_calibration_finds_the_threshold_that_tells_both_kinds_apart():
    examples = [
        example("The bank of Bern .", "Bern"),
        example("A bank ."),
        example("The bank of 1834 .", "1834"),
        example("No ."),
    ]
    spec = TASK.spec(TRAIN, features())
    encoded = TASK.encode(examples, spec)
    outputs = told(encoded, [(12, 16), (2, 6), (12, 16), (0, 2)], sure=4.0)
    for row, window in zip(outputs, encoded.origins, strict=True):
        row[:, window.first :] *= 2.0 if window.example in (0, 2) else 1.5  # more sure where there is an answer
    assert TASK.evaluate(TASK.decode(outputs, encoded, spec), examples).scores["f1"] == 0.5
    chosen, remark = TASK.calibrate(outputs, encoded, examples, spec)
    assert TASK.evaluate(TASK.decode(outputs, encoded, chosen), examples).scores["f1"] == 1
    assert "chosen on validation f1" in remark
    answered = [0, 2]
    some = TASK.encode([examples[number] for number in answered], spec)
    always, remark = TASK.calibrate(
        [outputs[number] for number in answered], some, [examples[number] for number in answered], spec
    )
    assert remark == "always an answer, as on validation"
    assert all(prediction[0]["answer"] for prediction in TASK.decode(outputs, encoded, always))


@pytest.mark.parametrize("answers", [["Bern"], [None]], ids=["answers alone", "none at all"])
def test_training_data_of_one_kind_alone(answers):
    train = [example("Bern was a bank.", answer) for answer in answers * 3]
    spec = TASK.spec(train, features())
    encoded = TASK.encode(train, spec)
    chosen, _ = TASK.calibrate(told(encoded, [None] * 3), encoded, train, spec)
    predictions = TASK.decode(told(encoded, [None] * 3), encoded, chosen)
    assert [bool(prediction[0]["answer"]) for prediction in predictions] == [bool(answers[0])] * 3
    splits = make_splits({"train": train, "test": [example("A.", "A"), example("B.")]}, name="own", labels=TASK.labels)
    missing = "no answer" if answers[0] else "an answer"
    assert f"test has labels that train has not, all of them counted as wrong: {missing} (1)" in splits.notes


def test_what_somebody_types():
    assert TASK.example({"context": "A bank.", "question": "What?"}) == {"context": "A bank.", "question": "What?"}
    for name in ("context", "question"):
        with pytest.raises(InputError, match=f"the {name} is empty"):
            TASK.example({"context": "A.", "question": "What?", name: " \n"})


def test_settings_that_make_no_sense():
    with pytest.raises(ValidationError, match="rows cannot overlap by 16"):
        features(overlap=16)
    with pytest.raises(ValidationError, match="an answer of 10 pieces would lie in no row"):
        features(max_answer=10)


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def file(path, questions, **more):
    """Questions in SQuAD's format."""
    data = []
    for number, (context, question, answer) in enumerate(questions):
        answers = [{"text": answer, "answer_start": context.index(answer)}] if answer else []
        entry = {"id": f"q{number}", "question": question, "answers": answers, "is_impossible": not answer, **more}
        data.append({"title": "T", "paragraphs": [{"context": context, "qas": [entry]}]})
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    return path


def test_from_files_to_an_answer_typed_and_a_score_on_another_dataset(tmp_path):
    towns = ["Bern", "Turin", "Oslo", "Bath", "Lima", "Kyoto", "Graz", "Brno"]
    questions = [
        (f"In {year} a bank came to {town}.", question, answer)
        for number, town in enumerate(towns)
        for year in (str(1801 + 7 * number), str(1901 + 5 * number))
        for question, answer in (("Where is the bank?", town), ("When did the bank come?", year))
    ]
    train = file(tmp_path / "train.json", questions)
    sets = [
        *("vocabulary=150", "pieces=12", "marks=4", "dropout=0.0", "token_dropout=0.0"),
        *("max_length=32", "max_question=8", "overlap=8", "max_answer=4"),
    ]
    sets = [f"features.{each}" for each in sets] + ["model.width=24", "model.depth=2", "train.epochs=15"]
    sets += ["train.learning_rate=0.01", "train.batch_size=8", "train.patience=15"]
    flags = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--device", "cpu"]
    settings = [part for each in sets for part in ("--set", each)]
    command = ["run", "--task", "qa", "--train", train, "--validation", train, "--test", train, "--model", "cnn"]
    (result,) = json.loads(invoke(*command, *settings, *flags, "--json").stdout)["results"]
    assert result["scores"]["f1"] > 0.9
    directory = tmp_path / "runs" / result["run_id"]

    context = "In 1844 a bank came to Oslo."
    shown = invoke("predict", directory, "Where is the bank?", "--context", context, "--json", "--top", 2).stdout
    answers = json.loads(shown)["answers"]
    assert (answers[0]["answer"], answers[0]["start"], answers[0]["end"]) == ("Oslo", 23, 27)
    assert answers[0]["probability"] > answers[1]["probability"] > 0
    assert "context is empty" in invoke("predict", directory, "Where?", "--context", " ", code=2).stderr

    (tmp_path / "data").mkdir()
    file(tmp_path / "data" / "xquad.de.json", [("In 1815 a bank came to Graz.", "Where is the bank?", "Graz")])
    invoke("evaluate", directory, "--dataset", "xquad:de", "--data-dir", tmp_path / "data", *flags[:4])
    board = leaderboard.read_csv(tmp_path / "board.csv")
    row = board[board["primary"]].to_dict("records")[-1]
    assert (row["dataset"], row["metric"], row["value"], row["n_examples"]) == ("xquad:de", "f1", 1.0, 1)

    wrong = file(tmp_path / "wrong.json", [("A bank.", "What?", "bank"), ("B", "What?", "B")])
    wrong.write_text(wrong.read_text().replace('"answer_start": 2', '"answer_start": 3'))
    assert (
        "wrong.json: question q0: the answer 'bank' does not occur at character 3"
        in invoke("evaluate", directory, "--test", wrong, *flags[:4], code=2).stderr
    )
    kept = invoke("evaluate", directory, "--test", wrong, "--skip-bad", *flags[:4])
    assert "1 left out" in kept.output + kept.stderr


def test_questions_about_one_text_stay_together():
    assert TASK.groups([{"context": text} for text in "aab"]) == ["a", "a", "b"]
