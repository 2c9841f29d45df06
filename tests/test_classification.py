import numpy as np
import pytest

from suite import classification
from suite.task import Array, Encoded, Spec

SPEC = Spec(inputs={"x": Array((1,), "float32")}, target=Array((), "int32"), classes=("bad", "good"))
NOTHING = Encoded(inputs={"x": []}, targets=[])


def test_logits_become_probabilities():
    (row,) = classification.decode([np.array([0.0, np.log(3)])], NOTHING, SPEC)
    assert row == pytest.approx({"bad": 0.25, "good": 0.75})
    (sure,) = classification.decode([np.array([1e6, -1e6])], NOTHING, SPEC)
    assert sure == {"bad": 1.0, "good": 0.0}
    assert classification.decode([], NOTHING, SPEC) == []


def test_the_temperature_makes_confidence_honest_and_changes_no_answer():
    random = np.random.default_rng(0)
    true = random.normal(size=4000)
    labels = np.where(random.uniform(size=4000) < 1 / (1 + np.exp(-true)), "good", "bad")
    outputs = [np.array([0.0, 4 * logit]) for logit in true]  # four times too sure
    examples = [{"label": str(label)} for label in labels]
    spec, note = classification.calibrate(outputs, NOTHING, examples, SPEC)
    assert spec.preprocessing["temperature"] == pytest.approx(4, rel=0.15)
    assert note.startswith("temperature")
    before, after = (
        classification.evaluate(classification.decode(outputs, NOTHING, s), examples) for s in (SPEC, spec)
    )
    assert after.scores["accuracy"] == before.scores["accuracy"]
    assert after.scores["calibration_error"] < before.scores["calibration_error"] / 3


def test_a_label_that_training_had_not_is_counted_as_wrong():
    outputs, examples = [np.array([0.0, 1.0])] * 2, [{"label": "new"}, {"label": "good"}]
    spec, _ = classification.calibrate(outputs, NOTHING, examples, SPEC)
    found = classification.evaluate(classification.decode(outputs, NOTHING, spec), examples)
    assert found.scores["accuracy"] == 0.5
    assert found.outcomes[0] == {
        "label": "new",
        "answer": "good",
        "right": False,
        "probability": pytest.approx(found.outcomes[0]["probability"]),
        "label_probability": 0.0,
    }


def test_examples_without_a_label_can_be_encoded():
    assert [int(number) for number in classification.targets([{}, {"label": "good"}, {"label": "new"}], SPEC)] == [
        0,
        1,
        0,
    ]


def test_the_likeliest_classes_are_shown_first():
    shown = classification.show({"a": 0.2, "b": 0.7, "c": 0.1}, {}, 2)
    assert shown == [{"answer": "b", "probability": 0.7}, {"answer": "a", "probability": 0.2}]
