"""Windows over long texts: no answer is out of reach, and places in rows become exact characters again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data import subwords, windows
from suite.data.windows import Window

TEXTS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "The ",
            " ",
            "\n",
            ".",
            "東",
            "京",
            "é",
            "e\u0301",
            "👩\u200d🚀",
            "👍🏽",
            "😀",
            "\u0627\u064e",
            "\xa0",
            "ก",
            "ำ",
            "İ",
        ]
    ),
    max_size=30,
).map("".join)
KNOWN = subwords.Subwords(subwords.train(["the ab aba a b . é", "ab the"] * 3, size=40))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.data())
def test_every_stretch_up_to_the_overlap_lies_whole_in_a_window(length, room, data):
    overlap = data.draw(st.integers(0, room - 1))
    cuts = windows.cut(length, room=room, overlap=overlap)
    assert all(0 <= begin <= end <= length and end - begin <= room for begin, end in cuts)
    for size in range(1, overlap + 2):
        for start in range(length - size + 1):
            assert any(begin <= start and start + size <= end for begin, end in cuts)
    assert len(cuts) <= 1 + max(0, -(-(length - room) // (room - overlap)))


def test_rows_that_cannot_overlap_are_refused():
    for overlap in (-1, 5, 6):
        with pytest.raises(ValueError, match="0 <= overlap < room"):
            windows.cut(9, room=5, overlap=overlap)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_pieces_cover_every_visible_character_once_and_in_order(text):
    [found] = windows.pieces(KNOWN, [text])
    assert (found.ids > 0).all()
    assert (found.offsets[:, 0] < found.offsets[:, 1]).all()
    assert (found.offsets[1:, 0] >= found.offsets[:-1, 1]).all()
    covered = {at for begin, end in found.offsets.tolist() for at in range(begin, end)}
    assert {at for at, character in enumerate(text) if character.isalnum()} <= covered


@pytest.mark.parametrize(
    "parts",
    [
        ["東", "京", "は"],
        ["x\u0301", "z\u0323\u0301"],
        ["👩\u200d🚀", "😀"],
        ["क", "म"],
        ["a", "b", "東"],
        ["a", "b", "e\u0301\u0323"],
    ],
    ids="".join,
)
def test_what_is_unknown_comes_character_by_character_and_combining_marks_stay(parts):
    text = "".join(parts)
    [found] = windows.pieces(KNOWN, [text])
    assert [text[begin:end] for begin, end in found.offsets] == parts


def test_pieces_that_share_a_character_cover_an_answer():
    offsets = np.array([[0, 3], [4, 9], [9, 10]])
    assert windows.covering(offsets, 4, 9) == (1, 1)
    assert windows.covering(offsets, 2, 5) == (0, 1)
    assert windows.covering(offsets, 9, 10) == (2, 2)
    assert windows.covering(offsets, 3, 4) is None  # a blank, which no piece holds


def row(random, length):
    return random.normal(size=(2, length)).astype("float32") * 3


def by_hand(outputs, held, *, longest):
    """Every stretch of every window, one by one."""
    best = {}
    for output, window in zip(outputs, held, strict=True):
        for i in range(window.begin, window.end):
            for j in range(i, min(i + longest, window.end)):
                place = i - window.begin + window.first, j - window.begin + window.first
                score = float(output[0, place[0]] + output[1, place[1]] - output[0, 0] - output[1, 0])
                best[i, j] = max(best.get((i, j), -np.inf), score)
    return best


@pytest.mark.parametrize("seed", range(5))
def test_scores_and_answers_equal_those_counted_one_by_one(seed):
    random = np.random.default_rng(seed)
    text = "one two three four five six seven"
    begins = [0, *(at + 1 for at, character in enumerate(text) if character == " ")]
    offsets = np.array([[begin, (text + " ").index(" ", begin)] for begin in begins])
    held, outputs = [], []
    for example, cuts in enumerate([[(0, 4), (2, 6), (5, 7)], [(0, 7)]]):
        for begin, end in cuts:
            held.append(Window(example=example, context=text, offsets=offsets, begin=begin, end=end, first=3))
            outputs.append(row(random, 3 + end - begin))
    tables = list(windows.scores(outputs, held, longest=3))
    assert len(tables) == 2
    for number, (window, table) in enumerate(tables):
        mine = [place for place, each in enumerate(held) if each.example == number]
        wanted = by_hand([outputs[i] for i in mine], [held[i] for i in mine], longest=3)
        assert {
            (i, i + more): pytest.approx(table[i, more], abs=1e-4)
            for i, more in np.argwhere(np.isfinite(table)).tolist()
        } == wanted
        answers = windows.best(window, table, bias=0.5, top=4)
        total = sum(np.exp(score) for score in wanted.values()) + np.exp(0.5)
        ranked = sorted(wanted, key=wanted.get, reverse=True)[:4]
        expected = [(text[offsets[i, 0] : offsets[j, 1]], np.exp(wanted[i, j]) / total) for i, j in ranked]
        expected.append(("", np.exp(0.5) / total))
        if wanted[ranked[0]] < 0.5:
            expected.insert(0, expected.pop())
        assert [(each["answer"], pytest.approx(each["probability"], rel=1e-4)) for each in answers] == expected
        for each in answers:
            if each["answer"]:
                assert text[each["start"] : each["end"]] == each["answer"]


def test_all_probabilities_sum_to_one_and_no_answer_is_first_where_it_is_likeliest():
    window = Window(example=0, context="ab", offsets=np.array([[0, 1], [1, 2]]), begin=0, end=2, first=1)
    [(window, table)] = windows.scores([np.array([[0, 1, 2], [0, 3, 1]], dtype="float32")], [window], longest=2)
    answers = windows.best(window, table, bias=9.0, top=5)
    assert [each["answer"] for each in answers] == ["", "a", "b", "ab"]
    assert sum(each["probability"] for each in answers) == pytest.approx(1)
    assert answers[0]["start"] is answers[0]["end"] is None
    never = windows.best(window, table, bias=windows.NEVER, top=1)
    assert [each["answer"] for each in never] == ["a", ""]
    assert never[1]["probability"] == 0


def test_a_context_without_pieces_has_no_answer():
    window = Window(example=0, context="\u200b", offsets=np.zeros((0, 2), int), begin=0, end=0, first=4)
    [(window, table)] = windows.scores([np.zeros((2, 4), "float32")], [window], longest=3)
    assert [dict(each) for each in windows.best(window, table, bias=windows.NEVER, top=3)] == [
        {"answer": "", "start": None, "end": None, "probability": 1.0}
    ]
