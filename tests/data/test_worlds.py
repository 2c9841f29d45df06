"""The generated worlds: their answers follow from their stories."""

import json
import zlib

import pytest

from suite.data.datasets import worlds


@pytest.fixture(scope="module")
def splits():
    return worlds.load()


def answer(example):
    """What a reader of the sentences alone, who knows nothing of the generator, would say."""
    room, holder, way = {}, {}, {}
    for sentence in example["story"]:
        words = sentence.rstrip(".").removesuffix(" there").split()
        who, last = words[0], words[-1]
        if last in worlds.ROOMS:
            room[who] = last
            for thing in (t for t, h in holder.items() if h == who):
                way[thing].append(last)
        elif last in worlds.PEOPLE:
            holder[next(t for t in worlds.THINGS if t in words)] = last
        elif any(verb in sentence for verb in worlds.TAKES):
            holder[last] = who
            way.setdefault(last, [room[who]])
        else:
            holder[last] = None
    words = example["question"].rstrip("?").split()
    if words[0] == "Who":
        return holder[words[-1]]
    if words[-1] in worlds.PEOPLE:
        return room[words[-1]]
    if "before" not in words:
        return way[words[-1]][-1]
    (place,) = (i for i, r in enumerate(way[words[3]]) if r == words[-1])
    return way[words[3]][place - 1]


def test_every_answer_follows_from_its_story(splits):
    for examples in splits.values():
        for each in examples:
            assert answer(each) == each["label"], each


def test_a_thing_moves_from_hand_to_hand_in_one_room_alone(splits):
    for each in splits["train"]:
        room = {}
        for sentence in each["story"]:
            words = sentence.rstrip(".").split()
            if words[-1] in worlds.ROOMS:
                room[words[0]] = words[-1]
            elif words[-1] in worlds.PEOPLE:
                assert room[words[0]] == room[words[-1]]


def test_sizes_shares_and_no_example_twice(splits):
    assert {split: len(examples) for split, examples in splits.items()} == worlds.SIZES
    every = [(*each["story"], each["question"]) for examples in splits.values() for each in examples]
    assert len(set(every)) == len(every)
    for examples in splits.values():
        for task, share in worlds.SHARES.items():
            assert sum(each["task"] == task for each in examples) / len(examples) == pytest.approx(share, abs=0.1)
    low, high = worlds.LENGTHS
    assert {len(each["story"]) for each in splits["train"]} == set(range(low, high + 1))


def test_the_ceiling_is_stated_in_test_alone(splits):
    assert all(each["oracle"] == {each["label"]: 1.0} for each in splits["test"])
    assert not any("oracle" in each for each in splits["train"] + splits["validation"])


def test_the_same_on_every_machine(splits):
    assert zlib.crc32(json.dumps(splits).encode()) == CHECKSUM


def test_the_beginning_of_train_does_not_depend_on_its_size(splits):
    assert worlds.stories({"train": 7})["train"] == splits["train"][:7]


CHECKSUM = 3403921414
