"""Texts cut word by word come out as the tokenizers library cuts whole texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data import bpe, subwords

TEXTS = ["the lowest tower is lower than the highest", "ﬁne naïve cafés in 東京 and Zürich 😀", "Ὀδυσσεύς  ΣΑΣ it's 12"]
SUBWORDS = subwords.Subwords(subwords.train(TEXTS * 9, size=200))
PIECES = bpe.Pieces(bpe.train(TEXTS * 9, size=330))
STRANGE = " \t\n\r\v\x1c\x85\xa0\u3000\u200b\u0301\u0308\u1100\u1161ﬁ½\u00a8Σσς's,.-0٣aéZ東\0"

texts = st.lists(st.one_of(st.text(max_size=40), st.text(STRANGE, max_size=20)), max_size=4)


@given(texts)
@settings(deadline=None, max_examples=1000)
def test_words_are_cut_as_in_their_text(texts):
    found = SUBWORDS.encode_many(texts)
    whole = SUBWORDS._tokenizer.encode_batch(texts, add_special_tokens=False)
    assert [each.ids.tolist() for each in found] == [each.ids for each in whole]
    assert [list(map(tuple, each.offsets.tolist())) for each in found] == [each.offsets for each in whole]
    assert [each.tolist() for each in PIECES.encode_many(texts)] == [
        each.ids for each in PIECES._tokenizer.encode_batch(texts, add_special_tokens=False)
    ]


@pytest.mark.parametrize(
    "text", ["", " ", "a", " a", "a ", "a  b", "a   b", "\t b", " \tb", "a \n", "it 's", "x " * 40]
)
def test_blanks_stay_where_they_are(text):
    (found,) = SUBWORDS.encode_many([text])
    assert found.ids.dtype == np.int32
    assert found.offsets.dtype == np.int64
    assert "".join(text[begin:end] for begin, end in found.offsets) == "".join(text.split())
    assert PIECES._tokenizer.encode(text).ids == PIECES.encode(text).tolist()


def test_a_word_is_cut_once(monkeypatch):
    asked = []

    class Spy:
        def encode_batch(self, chunks, *, add_special_tokens):
            asked.extend(chunks)
            return tokenizer.encode_batch(chunks, add_special_tokens=add_special_tokens)

    tokenizer = SUBWORDS._tokenizer
    monkeypatch.setitem(SUBWORDS.__dict__, "_tokenizer", Spy())
    assert len(SUBWORDS.encode_many(["the tower", "tower the tower"])) == 2
    assert asked == ["the", "tower"]
