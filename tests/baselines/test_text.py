"""The text classifier without a neural network: what it learns, how it chooses, and that odd data do not stop it."""

from __future__ import annotations

import pickle
import random
from types import SimpleNamespace

import pytest

from suite.baselines import text
from suite.errors import InputError
from suite.metrics import classification as metrics

WORDS = "the a film plot was is and of with for one they".split()


def reviews(count: int, *, seed: int, noise: float = 0.0, labels=("bad", "good")) -> list[dict[str, str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        label = rng.choice(labels)
        said = rng.choice(labels) if rng.random() < noise else label
        made.append({"text": " ".join([*rng.choices(WORDS, k=5), said, *rng.choices(WORDS, k=3)]), "label": label})
    return made


def accuracy(predict, examples) -> float:
    return metrics.scores([each["label"] for each in examples], predict(examples))["accuracy"]


@pytest.mark.parametrize("labels", [("bad", "good"), ("sport", "war", "trade")])
def test_it_learns_words(labels):
    train, validation, test = (reviews(90, seed=seed, labels=labels) for seed in (2, 3, 5))
    predict = text.classifier(train, validation, None, 0)
    assert accuracy(predict, test) > 0.95
    for answer in predict(test):
        assert set(answer) == set(labels)
        assert sum(answer.values()) == pytest.approx(1)


def test_it_learns_pairs_of_words_and_marks():
    frames = [("not good", "bad"), ("good not", "good"), ("wow !", "good"), ("wow ?", "bad")]
    train = [{"text": f"{word} {frame}", "label": label} for frame, label in frames for word in WORDS]
    predict = text.classifier(train, train, None, 0)
    assert accuracy(predict, [{"text": f"so {frame}", "label": label} for frame, label in frames]) == 1


def test_what_it_chooses_is_the_best_on_validation(monkeypatch):
    train, validation = reviews(60, seed=7, noise=0.6), reviews(200, seed=11, noise=0.6)
    chosen = text.classifier(train, validation, None, 0)
    scores = {}
    for strength in text.STRENGTHS:
        monkeypatch.setattr(text, "STRENGTHS", (strength,))
        tried = text.classifier(train, validation, None, 0)
        scores[tried.note] = accuracy(tried, validation)
    assert len(set(scores.values())) > 1
    assert scores[chosen.note] == max(scores.values())
    assert max(scores, key=scores.__getitem__) == chosen.note  # of equals the first


def test_capitals_count_where_they_are_asked_for():
    train = [{"text": f"{word} {said}", "label": said} for word in WORDS for said in ("Fine", "fine")]
    asked = text.classifier(train, train, SimpleNamespace(lowercase=False), 0)
    assert accuracy(asked, train) == 1
    assert accuracy(text.classifier(train, train, SimpleNamespace(lowercase=True), 0), train) == 0.5


def test_it_is_the_same_for_every_seed_and_after_pickling():
    train, test = reviews(40, seed=2, noise=0.5), reviews(20, seed=3)
    first, second = (text.classifier(train, test, None, seed) for seed in (0, 1))
    assert first(test) == second(test) == pickle.loads(pickle.dumps(first))(test)
    assert first.parameters == second.parameters == len(first.features.vectorizer.vocabulary_) + 1


def test_one_class_alone():
    predict = text.classifier([{"text": "a", "label": "x"}], [{"text": "b", "label": "y"}], None, 0)
    assert predict([{"text": "c"}]) == [{"x": 1.0}]
    assert predict.parameters == 0
    assert predict.note == "always x, the only class"
    assert pickle.loads(pickle.dumps(predict))([{"text": "c"}]) == [{"x": 1.0}]


def test_no_validation_and_no_words():
    train = reviews(10, seed=2)
    assert text.classifier(train, [], None, 0).note.startswith("C=3, not tuned; ")
    assert text.classifier(train, train, None, 0)([]) == []
    with pytest.raises(InputError, match="nothing to train on"):
        text.classifier([], [], None, 0)
    with pytest.raises(InputError, match="no training text has a word"):
        text.classifier([{"text": " ", "label": label} for label in "ab"], [], None, 0)


def test_a_fit_that_stops_early_does_not_warn(monkeypatch):
    monkeypatch.setattr(text, "ITERATIONS", 1)
    assert text.classifier(reviews(30, seed=2), reviews(9, seed=3), None, 0)(reviews(1, seed=5))
