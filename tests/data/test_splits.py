"""Splits: cut by the same draw each time, limited in order, nothing dropped, everything noteworthy counted."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from suite.data.lazy import Lazy, light
from suite.data.splits import make_splits, read_files
from suite.errors import InputError
from suite.faults import Faults


def words(*texts):
    return [{"tokens": [text], "tags": ["O"]} for text in texts]


TRAIN = words(*(f"w{number}" for number in range(101)))


def test_a_source_with_three_splits_stays_as_it_is():
    parts = {"train": words("a", "b"), "validation": words("c"), "test": words("d")}
    splits = make_splits(parts, name="x")
    assert (splits.dataset, splits.train, splits.validation, splits.test) == ("x", *parts.values())
    assert splits.notes == ()


def test_validation_is_cut_from_train_and_both_keep_the_order():
    splits = make_splits({"train": TRAIN, "test": words("t")}, name="x", validation_share=0.2)
    again = make_splits({"train": list(TRAIN), "test": words("t")}, name="x", validation_share=0.2)
    assert splits.fingerprint() == again.fingerprint()
    assert len(splits.validation) == 20
    for part in (splits.train, splits.validation):
        assert [TRAIN.index(example) for example in part] == sorted(TRAIN.index(example) for example in part)
    assert sorted(map(TRAIN.index, [*splits.train, *splits.validation])) == list(range(101))
    assert splits.validation != TRAIN[:20]
    assert splits.notes == ("validation: 20 of 101 training examples, cut by a fixed seed",)


def test_test_is_cut_where_there_is_none():
    splits = make_splits({"train": TRAIN}, name="x", test_share=0.1, validation_share=0.1)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [82, 9, 10]
    assert "test: 10 of 101 training examples, cut by a fixed seed" in splits.notes


def test_two_training_examples_are_enough_and_one_is_not():
    assert len(make_splits({"train": TRAIN[:2], "test": words("t")}, name="x").validation) == 1
    with pytest.raises(InputError, match=r"x: validation has to be cut.*at least 2 training examples"):
        make_splits({"train": TRAIN[:1], "test": words("t")}, name="x")
    with pytest.raises(InputError, match="at least 2 training examples, or a validation file"):
        make_splits({"train": TRAIN[:2]}, name="x")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": [], "test": words("t")}, "train has no example"),
        ({"train": TRAIN, "test": []}, "test has no example"),
        ({"test": words("t")}, "no training examples"),
        ({"train": TRAIN, "valid": words("t")}, "unknown split 'valid'; did you mean 'validation'"),
    ],
)
def test_faulty_parts(parts, message):
    with pytest.raises(InputError, match=message):
        make_splits(parts, name="x")


def test_limit_is_a_sample_in_order_and_a_smaller_one_is_part_of_it():
    parts = {"train": TRAIN, "validation": TRAIN[:30], "test": TRAIN[:5]}
    ten, forty = (make_splits(parts, name="x", limit=limit) for limit in (10, 40))
    assert [len(ten.train), len(ten.validation), len(ten.test)] == [10, 10, 5]
    assert [len(forty.train), len(forty.validation), len(forty.test)] == [40, 30, 5]
    indices = [TRAIN.index(example) for example in ten.train]
    assert indices == sorted(indices)
    assert indices != list(range(10))
    assert all(example in forty.train for example in ten.train)


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one(limit):
    with pytest.raises(InputError, match=f"at least 1 example of each split, received {limit}"):
        make_splits({"train": TRAIN}, name="x", limit=limit)


def test_examples_shared_by_train_and_test_are_counted_by_their_input_alone():
    train = [{"tokens": ["a"], "tags": ["O"]}, {"tokens": ["b"], "tags": ["O"]}]
    test = [{"tokens": ["a"], "tags": ["B-X"], "oracle": ["B-X"]}, {"tokens": ["c"], "tags": ["O"]}]
    splits = make_splits({"train": train, "validation": train, "test": test}, name="x")
    assert splits.notes == ("1 of 2 test examples are also in train",)
    assert len(splits.test) == 2
    assert make_splits({"train": train, "validation": train, "test": test}, name="x", answers={"oracle"}).notes == ()


def test_large_arrays_are_compared_by_all_their_values():
    image = np.zeros((40, 40, 3), "uint8")
    other = image.copy()
    other[20, 20, 1] = 1
    train = [{"image": image, "label": 0}]
    parts = {"train": train, "validation": train, "test": [{"image": other, "label": 0}]}
    assert make_splits(parts, name="x").notes == ()
    parts["test"].append({"image": image.copy(), "label": 1})
    assert make_splits(parts, name="x").notes == ("1 of 2 test examples are also in train",)


def test_labels_that_only_test_has_are_counted():
    train = [{"text": "a", "label": "good"}, {"text": "b", "label": "bad"}]
    test = [{"text": "c", "label": "odd"}, {"text": "d", "label": "odd"}, {"text": "e", "label": "bad"}]
    splits = make_splits(
        {"train": train, "validation": train, "test": test}, name="x", labels=lambda example: [example["label"]]
    )
    assert splits.notes == ("test has labels that train has not, all of them counted as wrong: odd (2)",)
    assert len(splits.test) == 3


def test_a_dataset_s_own_notes_come_first():
    parts = {"train": TRAIN, "test": words("t"), "notes": ["test is not the published file"]}
    assert make_splits(parts, name="x").notes[0] == "test is not the published file"


def test_files_replace_the_splits_of_a_dataset():
    def read(path: Path, faults: Faults) -> list:
        return words(path.stem)

    own = read_files(read, {"train": Path("mine"), "test": None})
    splits = make_splits({"train": TRAIN, "validation": words("v"), "test": words("t"), **own}, name="x")
    assert (splits.train, splits.validation, splits.test) == (words("mine"), words("v"), words("t"))


def test_what_cannot_be_used_is_refused_or_left_out_and_counted():
    def read(path: Path, faults: Faults) -> list:
        for number in range(4):
            faults.found(f"{path}:{number}: odd; expected even")
        return words("mine")

    with pytest.raises(InputError, match="mine:0: odd; expected even"):
        read_files(read, {"train": Path("mine")})
    own = read_files(read, {"train": Path("mine")}, skip_bad=True)
    note = make_splits({**own, "test": words("t"), "validation": words("v")}, name="x").notes[0]
    assert note.startswith("train: 4 left out that could not be used: mine:0")
    assert note.endswith("; and 1 more")


def test_media_are_cut_and_compared_without_being_loaded():
    def load(light):
        raise AssertionError("loaded")

    lights = [{"path": f"{i}.png", "label": "ab"[i % 2], "digest": str(i // 2)} for i in range(20)]
    splits = make_splits(
        {"train": Lazy(lights[:14], load), "test": Lazy(lights[13:], load)},
        name="x",
        limit=9,
        labels=lambda example: [example["label"]],
    )
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (9, 1, 7)
    assert any("test examples are also in train" in note for note in splits.notes) == any(
        a["digest"] == b["digest"] for a in light(splits.train) for b in light(splits.test)
    )
    moved = Lazy([{**one, "path": "elsewhere"} for one in light(splits.train)], load)
    assert dataclasses.replace(splits, train=moved).fingerprint() == splits.fingerprint()
    changed = Lazy([{**one, "digest": "other"} for one in light(splits.train)], load)
    assert dataclasses.replace(splits, train=changed).fingerprint() != splits.fingerprint()


def test_the_fingerprint_sees_the_middle_of_a_large_array():
    arrays = [np.zeros(5000), np.zeros(5000)]
    arrays[1][2500] = 1
    marks = set()
    for array in arrays:
        parts = {split: [{"x": array}] for split in ("train", "validation", "test")}
        marks.add(make_splits(parts, name="x").fingerprint())
    assert len(marks) == 2


def test_no_cut_goes_through_a_text():
    train = [{"text": number // 7, "question": number} for number in range(70)]
    splits = make_splits({"train": train}, name="x", groups=lambda examples: [each["text"] for each in examples])
    texts = [{each["text"] for each in part} for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in texts] == [7, 1, 2]
    assert len(set().union(*texts)) == 10
    assert splits.notes == (
        "test: 14 of 70 training examples, cut by a fixed seed",
        "validation: 7 of 56 training examples, cut by a fixed seed",
    )
    with pytest.raises(InputError, match=r"7 example\(s\) of 1 text\(s\) left"):
        make_splits({"train": train[:7]}, name="x", groups=lambda examples: [each["text"] for each in examples])
