"""Subwords: learned from the texts given and nothing else, with offsets into the text as it was given."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data.subwords import Subwords, train

TEXTS = ["the lowest tower is lower than the highest", "ﬁne naïve cafés in 東京 and Zürich 😀"] * 20
SUBWORDS = Subwords(train(TEXTS, size=120, specials=["[SEP]"]))


def test_the_same_texts_give_the_same_tokenizer():
    assert train(TEXTS, size=120, specials=["[SEP]"]) == SUBWORDS.json


def test_numbers_are_dense_and_specials_come_first():
    assert (SUBWORDS.piece(0), SUBWORDS.piece(1), SUBWORDS.special("[SEP]")) == ("[PAD]", "[UNK]", 2)
    assert SUBWORDS.size <= 120
    assert Subwords(SUBWORDS.json).encode("the tower").ids.tolist() == SUBWORDS.encode("The TOWER").ids.tolist()


def test_text_cannot_spell_padding_or_a_special():
    assert 0 not in SUBWORDS.encode("[PAD] x [SEP]").ids
    assert SUBWORDS.special("[SEP]") not in SUBWORDS.encode("[PAD] x [SEP]").ids


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_offsets_rise_and_leave_out_blanks_alone(text):
    ids, offsets = SUBWORDS.encode(text)
    assert ids.dtype == np.int32
    assert offsets.shape == (len(ids), 2)
    assert np.all(offsets[:, 0] <= offsets[:, 1])
    assert np.all(np.diff(offsets[:, 0]) >= 0)
    assert np.all((offsets >= 0) & (offsets <= len(text)))


def test_offsets_cut_the_text_as_it_was_given():
    text = "  Ｔｈｅ ﬁne  cafe\u0301s in 東京 😀!"
    pieces = [text[begin:end] for begin, end in SUBWORDS.encode(text).offsets]
    assert "".join(pieces) == "".join(text.split())


def test_an_empty_text_has_no_piece():
    assert len(SUBWORDS.encode(" \n").ids) == 0
    assert SUBWORDS.encode("").offsets.shape == (0, 2)
