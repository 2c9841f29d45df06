"""Reasoning: encoding with counted truncation, accuracy as bAbI's literature has it, odd data from file to score."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from suite import config
from suite.data.datasets import worlds
from suite.data.splits import make_splits
from suite.errors import InputError
from suite.faults import Faults
from suite.models import cnn
from suite.task import Architecture, Spec
from tasks.reasoning import TASK, Features

TRAIN = [
    {"story": ["Ann is here.", "Bob left the hall."], "question": "Who is here?", "label": "Ann", "task": "qa1"},
    {"story": ["Bob is here."], "question": "Who is here?", "label": "Bob", "task": "qa1"},
]


def model(spec, settings, *, width=12):
    keras.utils.set_random_seed(97)
    encode = cnn.encoder(cnn.Config(width=width, depth=1, dropout=0.0))
    return TASK.build(spec, settings, Architecture(width=width, reads="sequence", encode=encode))


def outputs(built, encoded):
    return [built.predict_on_batch({"words": rows[None]})[0] for rows in encoded.inputs["words"]]


def test_a_row_is_a_sentence_and_the_last_is_the_question():
    spec = TASK.spec(TRAIN, Features())
    assert spec.classes == ("Ann", "Bob")
    known = {word: number for number, word in enumerate(spec.preprocessing["words"], start=2)}
    encoded = TASK.encode([*TRAIN, {"story": ["Cleo is."], "question": "Who?"}], spec)
    rows = encoded.inputs["words"]
    assert [row.shape for row in rows] == [(3, 4), (2, 4), (2, 4)]
    assert rows[0][1].tolist() == [known[word] for word in ("bob", "left", "the", "hall")]
    assert rows[0][2].tolist() == [known["who"], known["is"], known["here"], 0]
    assert rows[2][0].tolist() == [1, known["is"], 0, 0]
    assert [int(target) for target in encoded.targets] == [0, 1, 0]
    assert encoded.notes == ()
    again = TASK.encode(TRAIN, Spec.from_json(spec.to_json())).inputs["words"]
    assert [row.tolist() for row in again] == [row.tolist() for row in rows[:2]]


def test_long_stories_lose_their_beginning_and_long_sentences_their_end_and_both_are_counted():
    spec = TASK.spec(TRAIN, Features(sentences=2, max_words=3))
    told = [{"story": ["a", "b", "Ann is here."], "question": "Bob left the hall?"}, *TRAIN]
    encoded = TASK.encode(told, spec)
    assert encoded.inputs["words"][0].shape == (3, 3)
    assert encoded.inputs["words"][0][1].tolist() == encoded.inputs["words"][1][0].tolist()
    assert encoded.notes == (
        "stories of more than 2 sentences, read without their beginning: 1 of 3, 1 sentences left out",
        "different sentences of more than 3 words, read without their end: 2",
    )


def test_a_sentence_in_which_nothing_can_be_read_is_one_unknown_word():
    spec = TASK.spec(TRAIN, Features())
    encoded = TASK.encode([{"story": ["...", "猫は どこ"], "question": "\N{LINE SEPARATOR}"}], spec)
    assert encoded.inputs["words"][0].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]


def test_what_somebody_types():
    typed = {"story": " Mary took the milk. She left!\nMary is in the hall ", "question": " Where is the milk? "}
    assert TASK.example(typed) == {
        "story": ["Mary took the milk.", "She left!", "Mary is in the hall"],
        "question": "Where is the milk?",
    }
    with pytest.raises(InputError, match="story: empty"):
        TASK.example({**typed, "story": " . \n"})
    with pytest.raises(InputError, match="question: empty"):
        TASK.example({**typed, "question": "?"})


def test_accuracy_is_the_mean_over_tasks_and_the_error_what_is_missing():
    asked = [("qa2", "a", "a"), ("qa10", "a", "b"), ("qa2", "b", "b"), ("qa2", "b", "b"), ("qa1", "b", "a")]
    examples = [{"task": task, "label": label} for task, label, _ in asked]
    evaluation = TASK.evaluate([{answer: 0.75, "c": 0.25} for _, _, answer in asked], examples)
    names = ["accuracy/qa1", "accuracy/qa2", "accuracy/qa10"]
    assert [name for name in evaluation.scores if "/" in name] == names
    assert [evaluation.scores[name] for name in names] == [0.0, 1.0, 0.0]
    assert evaluation.scores["accuracy"] == pytest.approx(1 / 3)
    assert evaluation.scores["error"] == pytest.approx(2 / 3)
    assert "error" in TASK.lower_is_better
    assert evaluation.outcomes[1] == {
        "task": "qa10",
        "label": "a",
        "answer": "b",
        "right": False,
        "probability": 0.75,
        "label_probability": 0.0,
    }
    assert json.loads(json.dumps(evaluation.scores)) == evaluation.scores
    alone = TASK.evaluate([{"a": 1.0}], examples[:1]).scores
    assert set(alone) == {"accuracy", "error", "calibration_error"}


def test_settings_that_make_no_sense():
    for wrong in ({"sentences": 0}, {"read": "letters"}, {"roles": 0}, {"dropout": 1.0}, {"words": -1}):
        with pytest.raises(ValidationError):
            Features(**wrong)


@pytest.mark.parametrize("answers", [("attic", "cellar"), ("apple,milk", "milk", "nothing"), ("only",)])
def test_from_a_file_to_scores(tmp_path, answers):
    def file(name, answers):
        path = tmp_path / name
        path.write_text("".join(f"1 It is {each}.\n2 What is it?\t{each}\t1\n" for each in answers))
        return TASK.read(path, Faults())

    train = file("qa1_mine_train.txt", answers * 4)
    splits = make_splits(
        {"train": train, "validation": train, "test": file("qa1_mine_test.txt", [*answers, "new"])},
        name="own",
        labels=TASK.labels,
    )
    assert "test has labels that train has not, all of them counted as wrong: new (1)" in splits.notes
    settings = Features(dropout=0.0, words=8)
    spec = TASK.spec(splits.train, settings)
    built = model(spec, settings)
    built.compile(keras.optimizers.Adam(0.02), TASK.loss(settings))
    encoded = TASK.encode(splits.train, spec)
    inputs = {"words": np.stack(encoded.inputs["words"])}
    for _ in range(30):
        built.train_on_batch(inputs, np.stack(encoded.targets), sample_weight=np.ones(len(train), "float32"))
    spec, _ = TASK.calibrate(outputs(built, encoded), encoded, splits.validation, spec)
    encoded = TASK.encode(splits.test, spec)
    predictions = TASK.decode(outputs(built, encoded), encoded, spec)
    evaluation = TASK.evaluate(predictions, splits.test)
    assert evaluation.scores["accuracy"] == pytest.approx(len(answers) / (len(answers) + 1))
    assert TASK.show(predictions[0], splits.test[0], 3)[0]["answer"] == answers[0]
    for name in TASK.baselines:
        fitted = TASK.baselines[name](splits.train, splits.validation, settings, 0)
        assert set(TASK.evaluate(fitted(splits.test), splits.test).scores) >= {"accuracy", "error"}


def test_the_worlds_have_a_ceiling_that_the_task_can_score():
    test = worlds.load()["test"]
    scores = TASK.evaluate([example["oracle"] for example in test], test).scores
    assert scores["accuracy"] == 1.0
    assert [name for name in scores if "/" in name] == [f"accuracy/{task}" for task in sorted(worlds.SHARES)]


def sizes(dataset: str) -> dict[str, int]:
    """Parameters of each neural family, for one vocabulary and as many answers as bAbI has."""
    wanted = config.wanted("reasoning", dataset=dataset, models=["transformer", "rnn", "cnn", "lstm"])
    sentence = " ".join(f"w{number}" for number in range(11))
    train = [
        {"story": [sentence], "question": sentence, "label": str(n)} for n in range(57 if dataset == "babi" else 12)
    ]
    found = {}
    for each in config.resolve(wanted):
        module = config.architecture(wanted.task, each.model)
        reader = Architecture(width=each.architecture.width, reads="sequence", encode=module.encoder(each.architecture))
        found[each.model] = TASK.build(TASK.spec(train, each.features), each.features, reader).count_params()
    return found


@pytest.mark.parametrize("dataset", ["worlds", "babi"])
def test_families_have_as_many_parameters_within_a_tenth(dataset):
    found = sizes(dataset)
    for family in ("rnn", "cnn", "lstm"):
        assert found[family] / found["transformer"] == pytest.approx(1, abs=0.1), found


def test_questions_about_one_story_stay_together():
    stories = [["a"], ["a", "b"], ["a", "b"], ["c"], ["c", "d"], ["a"]]
    assert TASK.groups([{"story": story} for story in stories]) == [0, 0, 0, 1, 1, 2]
    assert TASK.groups([]) == []
