"""Answers from the last matching fact: which it is, what is learned from it, and that odd data do not stop it."""

from __future__ import annotations

import pickle
import random

import pytest

from suite.baselines import story
from suite.errors import InputError
from suite.metrics import classification as metrics

PEOPLE, ROOMS = ("Ann", "Bob", "Cleo"), ("attic", "cellar", "garden", "hall")


def stories(count: int, *, seed: int, noise: float = 0.0) -> list[dict]:
    """People walk; the question asks where one of them is. A share of the answers is any room."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        walks = [(rng.choice(PEOPLE), rng.choice(ROOMS)) for _ in range(6)]
        who = rng.choice([person for person, _ in walks])
        room = next(room for person, room in reversed(walks) if person == who)
        made.append(
            {
                "story": [f"{person} went to the {room}." for person, room in walks],
                "question": f"Where is {who}?",
                "label": rng.choice(ROOMS) if rng.random() < noise else room,
            }
        )
    return made


def accuracy(predict, examples) -> float:
    return metrics.scores([each["label"] for each in examples], predict(examples))["accuracy"]


@pytest.mark.parametrize(
    ("said", "asked", "fact"),
    [
        (["Ann went to the attic.", "Bob left.", "Ann is in the hall.", "Bob slept."], "Where is Ann?", 2),
        (["Ann has the key.", "Bob has the lamp.", "Ann left."], "Who has the lamp?", 1),
        (["Ann left.", "Bob left."], "What is it?", 1),  # nothing matches: the last one
        (["Ann left."], "", 0),
    ],
)
def test_the_fact_is_the_last_sentence_with_the_rarest_word_of_the_question(said, asked, fact):
    facts = story.Facts({"ann": 4, "bob": 4, "lamp": 1, "has": 3, "the": 9, "is": 9})
    assert facts.fact({"story": said, "question": asked}) == story.tokens(said[fact])


def test_one_fact_is_all_it_takes():
    predict = story.classifier(stories(200, seed=2), stories(50, seed=3), None, 0)
    test = stories(100, seed=5)
    assert accuracy(predict, test) > 0.95
    for answer in predict(test):
        assert set(answer) == set(ROOMS)
        assert sum(answer.values()) == pytest.approx(1)


def test_what_it_chooses_is_the_best_on_validation(monkeypatch):
    train, validation = stories(60, seed=7, noise=0.6), stories(200, seed=11, noise=0.6)
    chosen = story.classifier(train, validation, None, 0)
    scores = {}
    for strength in story.STRENGTHS:
        monkeypatch.setattr(story, "STRENGTHS", (strength,))
        tried = story.classifier(train, validation, None, 0)
        scores[tried.note] = accuracy(tried, validation)
    assert scores[chosen.note] == max(scores.values())
    assert "chosen on validation accuracy" in chosen.note


def test_it_is_the_same_for_every_seed_and_after_pickling():
    train, test = stories(40, seed=2, noise=0.5), stories(20, seed=3)
    first, second = (story.classifier(train, test, None, seed) for seed in (0, 1))
    assert first(test) == second(test) == pickle.loads(pickle.dumps(first))(test)


def test_one_answer_alone():
    one = {"story": ["A."], "question": "B?", "label": "x"}
    predict = story.classifier([one], [{**one, "label": "y"}], None, 0)
    assert predict([one]) == [{"x": 1.0}]
    assert (predict.parameters, predict.note) == (0, "always x, the only class")


def test_no_validation_and_nothing_to_learn_from():
    train = stories(10, seed=2)
    assert story.classifier(train, [], None, 0).note == "C=1, not tuned"
    assert story.classifier(train, train, None, 0)([]) == []
    with pytest.raises(InputError, match="nothing to train on"):
        story.classifier([], [], None, 0)


def test_words_of_any_script():
    assert story.tokens("Où est Ángel? 猫は どこ — don't!") == ["où", "est", "ángel", "猫は", "どこ", "don't"]
