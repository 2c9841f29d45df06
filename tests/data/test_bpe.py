"""Byte-pair encoding: any text comes back exactly, and nothing but the texts given decides on the pieces."""

import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data.bpe import Pieces, train

TEXTS = ["the lowest tower is lower than the highest\n", "ﬁne naïve cafés in 東京 and Zürich 😀"] * 20
PIECES = Pieces(train(TEXTS, size=320, specials=["[START]", "[END]"]))


@given(st.text(max_size=80))  # hypothesis gives no lone surrogates
@settings(deadline=None, max_examples=1000)
def test_every_text_comes_back_exactly(text):
    ids = PIECES.encode(text)
    assert ids.dtype == np.int32
    assert PIECES.decode(ids) == text
    assert not np.isin(ids, [0, 1, 2, 3]).any()


@pytest.mark.parametrize("text", ["", " ", "\n\n  \t x", "\0", "\r\n", "\u2028\ufeff", "[PAD][END] [UNK]", "a" * 5000])
def test_texts_that_tokenizers_often_change_come_back_exactly(text):
    assert PIECES.decode(PIECES.encode(text)) == text


def test_every_character_comes_back_exactly():
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert PIECES.decode(PIECES.encode(every)) == every


def test_the_same_texts_give_the_same_tokenizer_also_in_another_process():
    program = (
        "from suite.data.bpe import train\n"
        f"print(train({TEXTS!r}, size=320, specials=['[START]', '[END]']) == {PIECES.json!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_frequent_runs_become_one_piece():
    assert 300 < PIECES.size <= 320
    assert [PIECES.piece(number) for number in PIECES.encode("the lower tower")] == [b"the", b" lower", b" tower"]


def test_the_first_merges_join_the_most_frequent_pairs():
    texts = ["aab aab cb"]
    pairs = Counter({("a", "a"): 2, ("a", "b"): 2})  # a blank belongs to the word after it: " aab", " cb"
    pieces = Pieces(train(texts, size=2 + 256 + 1))
    assert pieces.piece(258).decode() in {"".join(pair) for pair in pairs}


def test_specials_come_first_and_no_text_spells_them():
    assert [PIECES.special(name) for name in ("[PAD]", "[UNK]", "[START]", "[END]")] == [0, 1, 2, 3]
    spelled = Pieces(train(["[PAD] [END]"] * 99, size=400, specials=["[END]"]))
    assert spelled.encode("[PAD] [END]").min() > 2
    assert spelled.decode(spelled.encode("[PAD] [END]")) == "[PAD] [END]"
    with pytest.raises(ValueError, match="none of the tokenizer's specials"):
        PIECES.special("[MASK]")


def test_specials_are_left_out_and_cut_characters_are_shown_as_such():
    ids = PIECES.encode("fish 🐟")
    assert PIECES.decode([2, *ids, 3, 0]) == "fish 🐟"
    assert PIECES.decode(ids[:-1]) == "fish \ufffd"


def test_half_a_surrogate_pair_is_no_fault():
    assert PIECES.decode(PIECES.encode("a\ud83db")) == "a?b"
    train(["a\ud83db"], size=300)


def test_a_vocabulary_holds_all_bytes_however_small_it_should_be():
    pieces = Pieces(train(TEXTS, size=3))
    assert pieces.size == 258
    assert pieces.decode(pieces.encode("東京")) == "東京"


def test_nothing_to_learn_from_leaves_the_bytes():
    assert Pieces(train([], size=400)).size == 258


def test_a_pickled_tokenizer_is_the_same():
    copy = pickle.loads(pickle.dumps(PIECES))
    assert copy.encode("the tower").tolist() == PIECES.encode("the tower").tolist()
