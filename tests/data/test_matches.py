"""What a piece looks like, and what the question says of its word."""

import numpy as np
import pytest

from suite.data import matches, subwords
from suite.data.matches import NOTHING, PIECE, STEM, WORD, Text

SENTENCES = ["who founded the bank of Bern in 1834", "its founder was Bo Berger, a banker from 東京 A1"]
KNOWN = subwords.Subwords(subwords.train(SENTENCES * 3, size=90))


def text(value):
    return Text(value, KNOWN.encode(value))


def of_words(found, values):
    """The value of the first piece of each word."""
    return {
        word[0]: int(values[list(found.word_of).index(number)])
        for number, word in enumerate(found.words)
        if number in found.word_of
    }


def test_words_stems_and_pieces_of_the_other_text_are_told_apart():
    statement, question = text("Its founder, THE banker, was born."), text("Who founded the bank?")
    found = of_words(statement, matches.matches(statement, question))
    assert found["THE"] == WORD
    assert found["founder"] == STEM  # founded
    assert found["was"] == found["Its"] == NOTHING
    other = of_words(text("bank"), matches.matches(text("bank"), text("banking")))
    assert other == {"bank": PIECE}


@pytest.mark.parametrize("context", ["Bo's bank.", "Bo ’s bank", "bo BANK", "«Bo», bank"])
def test_case_and_punctuation_do_not_matter(context):
    statement, question = text(context), text("bank? (Bo)")
    found = matches.matches(statement, question)
    at = [context.casefold().index(word) for word in ("bo", "bank")]
    for begin in at:
        assert found[list(statement.pieces.offsets[:, 0]).index(begin)] == WORD


def test_shapes_tell_years_numbers_capitals_and_beginnings():
    found = text("in 1834 12 A1 BERN Bern bankers")
    shapes = of_words(found, found.shapes)
    assert len(set(shapes.values())) == 6  # in and bankers look alike
    assert all(shape % 2 for shape in shapes.values())  # each piece begins its word
    inner = [int(shape) for shape, word in zip(found.shapes, found.word_of, strict=True) if word == 6][1:]
    assert inner
    assert set(inner) == {shapes["bankers"] - 1}


def test_numbers_stay_in_their_tables_whatever_the_text():
    for value in ["", " ", "?!", "東京 1834", "e\u0301", "👩\u200d🚀", "\u200b", "a" * 200]:
        found = text(value)
        values = matches.matches(found, text("Bern 東京"))
        assert values.shape == found.shapes.shape == (len(found.pieces.ids),)
        assert ((values > 0) & (values < matches.MATCHES)).all()
        assert ((found.shapes > 0) & (found.shapes < matches.SHAPES)).all()
        assert values.dtype == found.shapes.dtype == np.int32
