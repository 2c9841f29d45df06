"""Python's topics: nothing of validation and test stands in train, whatever the version of Python."""

import pytest

from suite.data.datasets import pydoc
from suite.data.splits import make_splits

PARTS = pydoc.load()
SPLITS = ("train", "validation", "test")


def paragraphs(split):
    found = [" ".join(part.split()) for example in PARTS[split] for part in example["text"].split("\n\n")]
    return {paragraph for paragraph in found if len(paragraph) >= 40}


def test_topics_are_in_one_split_each_with_enough_to_score():
    names = [example["topic"] for split in SPLITS for example in PARTS[split]]
    assert len(names) == len(set(names)) > 40
    sizes = {split: sum(len(example["text"]) for example in PARTS[split]) for split in SPLITS}
    total = sum(sizes.values())
    assert total > 250_000
    assert 0.1 < sizes["test"] / total < 0.2
    assert 0.05 < sizes["validation"] / total < 0.15


@pytest.mark.parametrize("split", ["validation", "test"])
def test_no_paragraph_stands_in_train_and_elsewhere(split):
    assert not paragraphs("train") & paragraphs(split)


def test_a_paragraph_stays_in_the_longest_topic_and_what_is_mostly_repeated_goes():
    long, other = "This paragraph is long enough to be looked for." * 2, "So is this one, of which there is just one."
    found = pydoc.without_repeats({"a": f"{long}\n\nshort", "b": f"{long}\n\n{other}\n\nshort", "c": "alone"})
    assert found == {"b": f"{long}\n\n{other}\n\nshort", "c": "alone"}
    found = pydoc.without_repeats({"a": f"{other}\n\n{long}\n\n{long}", "b": f"{other}\n\nNew: {other}"})
    assert found["b"] == f"New: {other}"


def test_the_split_is_always_the_same_and_says_of_which_python():
    assert pydoc.load() == PARTS
    splits = make_splits(PARTS, name="pydoc")
    assert len(splits.test) == len(PARTS["test"])
    assert any("the topics of Python 3." in note for note in splits.notes)
    assert not any("also in train" in note for note in splits.notes)
