"""Characters as numbers: the training texts' come back, others are one number."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data.characters import CODE_POINTS, Characters, train

TEXTS = ["Turku\n", "東京 😀 Turku"]
CHARACTERS = Characters(train(TEXTS, size=50, specials=["[START]"]))


@given(st.text(max_size=50))
@settings(deadline=None)
def test_known_characters_come_back_and_others_are_unknown(text):
    ids = CHARACTERS.encode(text)
    known = set("".join(TEXTS))
    assert ids.dtype == np.int32
    assert CHARACTERS.decode(ids) == "".join(c if c in known else "\ufffd" for c in text)
    assert [c not in known for c in text] == (ids == 1).tolist()


def test_numbers_are_dense_and_specials_come_first():
    alphabet = sorted(set("".join(TEXTS)))
    assert CHARACTERS.special("[START]") == 2
    assert CHARACTERS.encode("".join(alphabet)).tolist() == list(range(3, 3 + len(alphabet)))
    assert CHARACTERS.size == 3 + len(alphabet)
    assert CODE_POINTS == 1_112_064
    assert math.exp(CHARACTERS.charge) == pytest.approx(1_112_064 - len(alphabet))
    with pytest.raises(ValueError, match="none of the alphabet's specials"):
        CHARACTERS.special("[END]")


def test_no_text_spells_a_special():
    characters = Characters(train(["[START]"], size=50, specials=["[START]"]))
    assert characters.encode("[START]").min() > 2
    assert characters.decode([2, 0, *characters.encode("START")]) == "START"


def test_the_most_frequent_characters_are_kept():
    characters = Characters(train(["aaabbc", "zzzz"], size=5, specials=["[START]"]))
    assert characters.encode("abcz").tolist() == [3, 1, 1, 4]


def test_half_a_surrogate_pair_is_unknown():
    characters = Characters(train(["a\ud83d"], size=50))
    assert characters.encode("a\ud83d").tolist() == [2, 1]


def test_no_text_at_all_knows_nothing():
    assert Characters(train([], size=9)).encode("ab").tolist() == [1, 1]


def test_a_pickled_alphabet_is_the_same():
    assert pickle.loads(pickle.dumps(CHARACTERS)).encode("京Tx").tolist() == CHARACTERS.encode("京Tx").tolist()
