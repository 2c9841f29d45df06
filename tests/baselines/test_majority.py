"""The floor, by hand."""

import pytest

from suite.baselines import majority
from suite.errors import InputError


def example(text: str) -> dict[str, list[str]]:
    pairs = [item.split("/") for item in text.split()]
    return {"tokens": [token for token, _ in pairs], "tags": [tag for _, tag in pairs]}


TRAIN = [
    example("Paris/B-LOC is/O in/O France/B-LOC ./O"),
    example("Paris/B-PER and/O Paris/B-PER ./O"),
    example("May/B-PER may/O go/O ./O"),
    example("May/O ./O"),
    example("Berg/B-PER Berg/B-LOC Jung/B-ORG Jung/B-MISC"),
]


@pytest.mark.parametrize(
    ("token", "tag"),
    [
        ("France", "B-LOC"),
        ("Paris", "B-PER"),  # 2 of 3
        ("May", "O"),  # 1 each; O is more frequent in all
        ("Berg", "B-PER"),  # 1 each; B-PER 4 in all, B-LOC 3
        ("Jung", "B-MISC"),  # 1 each, and 1 each in all: the alphabet decides
        ("paris", "O"),  # unknown: the most frequent of all
    ],
)
def test_a_word_gets_its_most_frequent_tag(token: str, tag: str) -> None:
    predict = majority.tagger(TRAIN, [], None, 0)
    assert predict([{"tokens": [token]}]) == [[tag]]


def test_ties_do_not_depend_on_the_order_of_examples() -> None:
    words = [{"tokens": sorted({token for each in TRAIN for token in each["tokens"]})}]
    forward, backward = (majority.tagger(order, [], None, 0) for order in (TRAIN, TRAIN[::-1]))
    assert forward(words) == backward(words)


def test_what_a_row_of_the_leaderboard_says() -> None:
    predict = majority.tagger(TRAIN, [], None, 0)
    assert predict.parameters == 12  # Paris is in France . and May may go Berg Jung: 11 words, and the unknown
    assert predict.note == "unknown words get O"


def test_no_sentences_and_no_words() -> None:
    predict = majority.tagger(TRAIN, [], None, 0)
    assert predict([]) == []
    assert predict([{"tokens": []}]) == [[]]
    with pytest.raises(InputError, match="nothing to train on"):
        majority.tagger([], [], None, 0)
