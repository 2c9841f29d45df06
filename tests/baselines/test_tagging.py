"""The tagger without a neural network: what it learns, how it chooses, and that odd data do not stop it."""

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.baselines import majority
from suite.baselines import tagging as classic
from suite.data import conll
from suite.errors import InputError
from suite.metrics.entities import entity_scores

DATA = Path(os.environ.get("SUITE_DATA", Path(__file__).parents[3] / "shared" / "data"))
WNUT = DATA / "ner" / "wnut17"


def example(text: str) -> dict[str, list[str]]:
    pairs = [item.split("/") for item in text.split()]
    return {"tokens": [token for token, _ in pairs], "tags": [tag for _, tag in pairs]}


def names(seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    while True:
        yield "".join(rng.choices("abcdefghiklmnoprstuv", k=6)).capitalize()


def sentences(count: int, *, seed: int) -> list[dict[str, list[str]]]:
    """Names that are new in each sentence: what stands before tells people, what ends a name tells places."""
    new = names(seed)
    frames = itertools.cycle(
        [
            "then/O Dr/O {}/B-PER {}/I-PER left/O {}burg/B-LOC ./O",
            "then/O He/O {}/O {}/O left/O {}ish/O ./O",
            "{}burg/B-LOC ,/O Dr/O {}/B-PER here/O",
        ]
    )
    return [example(frame.format(*itertools.islice(new, 3))) for frame in itertools.islice(frames, count)]


def doubtful(count: int, *, seed: int) -> list[dict[str, list[str]]]:
    """New names after one of five words that make them a person's with probability 0, 0.2 ... 0.8."""
    rng, new = random.Random(seed), names(seed)
    drawn = [rng.randrange(5) for _ in range(count)]
    return [example(f"cue{i}/O {next(new)}/{'B-PER' if rng.random() < i / 5 else 'O'} ./O") for i in drawn]


def f1(predict: Any, examples: list[dict[str, list[str]]]) -> float:
    return entity_scores([each["tags"] for each in examples], predict(examples))["f1"]


def test_it_finds_names_that_it_has_never_seen() -> None:
    train, validation, test = (sentences(60, seed=seed) for seed in (2, 3, 5))
    assert f1(classic.tagger(train, validation, None, 0), test) > 0.95
    assert f1(majority.tagger(train, validation, None, 0), test) < 0.05


def test_what_it_chooses_is_the_best_on_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = doubtful(80, seed=7), doubtful(80, seed=11)
    chosen = classic.tagger(train, validation, None, 0)
    scores = {}
    for strength, handicap in itertools.product(classic.STRENGTHS, classic.HANDICAPS):
        with monkeypatch.context() as patch:
            patch.setattr(classic, "STRENGTHS", (strength,))
            patch.setattr(classic, "HANDICAPS", (handicap,))
            tried = classic.tagger(train, validation, None, 0)
            scores[tried.note] = f1(tried, validation)
    assert len(set(scores.values())) > 2
    assert scores[chosen.note] == max(scores.values()) == f1(chosen, validation)
    assert scores["C=1, O handicap 0, chosen on validation f1"] < max(scores.values())


def test_of_equals_the_first_is_chosen() -> None:
    predict = classic.tagger(sentences(60, seed=2), [example("no/O names/O")], None, 0)
    assert predict.note == "C=1, O handicap 0, chosen on validation f1"


def test_the_same_data_give_the_same_tagger_for_every_seed() -> None:
    train, validation, test = sentences(30, seed=2), sentences(10, seed=3), sentences(10, seed=5) + doubtful(10, seed=5)
    first, second = (classic.tagger(train, validation, None, seed) for seed in (0, 1))
    assert first(test) == second(test)
    assert (first.note, first.parameters) == (second.note, second.parameters)


def test_a_sentence_is_tagged_alike_in_any_company() -> None:
    predict = classic.tagger(sentences(20, seed=2) + doubtful(20, seed=2), [], None, 0)
    test = sentences(8, seed=5) + doubtful(8, seed=5)
    assert predict(test) == [predict([each])[0] for each in test] == predict(test[::-1])[::-1]


def test_the_order_of_tags_is_counted() -> None:
    predict = classic.tagger([example("in/O New/B-X York/I-X"), example("at/O Yale/B-X now/O")], [], None, 0)
    assert predict.words.classes == ["B-X", "I-X", "O"]
    # With one added to each count, after B-X come B-X, I-X, O 1, 2, 2 times; in all, I-X is 5 of 18.
    assert predict.follows[0, 1] == pytest.approx(0.3 * (np.log(2 / 5) - np.log(5 / 18)))
    # A sentence begins with B-X, I-X, O 1, 1, 3 times; in all, O is 7 of 18.
    assert predict.begins[2] == pytest.approx(0.3 * (np.log(3 / 5) - np.log(7 / 18)))
    assert max(predict.begins[1], predict.follows[2, 1]) < -1e8


def test_an_inside_tag_never_stands_without_its_beginning() -> None:
    rng = random.Random(0)
    tags = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    noise = [{"tokens": rng.choices("abcde", k=9), "tags": conll.iob2(rng.choices(tags, k=9))} for _ in range(40)]
    for tagged in classic.tagger(noise[:30], [], None, 0)(noise):
        assert tagged == conll.iob2(tagged)


def test_parameters_are_the_fitted_numbers() -> None:
    predict = classic.tagger([example("in/O Rome/B-X"), example("in/O Oslo/B-X")], [], None, 0)
    # One weight for each feature and an intercept for "entity or not"; the one tag of entities needs none; and 2 tags
    # can begin a sentence and follow one another.
    assert predict.parameters == len(predict.vectorizer.vocabulary_) + 1 + 2 + 4
    two = classic.tagger([example("in/O Rome/B-X"), example("in/O Oslo/B-Y")], [], None, 0)
    assert two.parameters == len(two.vectorizer.vocabulary_) + 1 + len(two.words.used) + 1 + 3 + 9


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ([example("no/O names/O"), example("none/O")], "O"),
        ([example("Rome/B-X Oslo/B-X")], "B-X"),
        ([example("none/O")], "O"),
        ([example("Rome/B-X")], "B-X"),
    ],
)
def test_a_single_tag_in_training(train: list[dict[str, list[str]]], expected: str) -> None:
    predict = classic.tagger(train, train, None, 0)
    assert predict([{"tokens": ["Rome", "never", "seen"]}]) == [[expected] * 3]
    assert predict.parameters == 2


def test_one_training_sentence() -> None:
    predict = classic.tagger([example("Ada/B-PER King/I-PER lives/O in/O Rome/B-LOC now/O")], [], None, 0)
    assert len(predict([{"tokens": ["x", "y", "Ada"]}])[0]) == 3
    assert predict.note == "C=1, O handicap 0, not tuned"


def test_no_sentences_and_long_ones() -> None:
    predict = classic.tagger(sentences(20, seed=2), sentences(5, seed=3), None, 0)
    assert predict([]) == []
    long = {"tokens": ["then", "Dr", "Ada", "left", "\N{SNOWMAN}"] * 1000}
    tagged = predict([long, {"tokens": ["never"]}])
    assert [len(each) for each in tagged] == [5000, 1]
    assert tagged[0].count("B-PER") == 1000


def test_nothing_to_train_on() -> None:
    with pytest.raises(InputError, match="nothing to train on"):
        classic.tagger([{"tokens": [], "tags": []}], [], None, 0)


def test_a_probability_of_zero_does_not_warn() -> None:
    words = [name.lower() for name in itertools.islice(names(2), 40)]
    train = [example(f"{word}/{tag}") for word, tag in zip(words, itertools.cycle(["O", "B-X"]))]
    predict = classic.tagger(2 * train, [], None, 0)
    assert predict([{"tokens": ["".join(words[1::2])]}]) == [["B-X"]]  # twenty words' worth of parts that say B-X


def test_a_fit_that_stops_early_does_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "ITERATIONS", 1)
    assert classic.tagger(sentences(20, seed=2), [], None, 0)([{"tokens": ["Dr"]}])


@pytest.mark.skipif(not WNUT.is_dir(), reason=f"needs the WNUT 2017 data in {WNUT}; SUITE_DATA names another folder")
def test_it_finds_rare_entities_in_real_text() -> None:
    train, validation = conll.read(WNUT / "train.conll")[:500], conll.read(WNUT / "dev.conll")[:500]
    predict = classic.tagger(train, validation, None, 0)
    assert "O handicap 2" in predict.note
    assert f1(predict, validation) > 2 * f1(majority.tagger(train, validation, None, 0), validation)
