"""Where a written text ends, and what may be asked for."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from suite.data import bpe, characters
from suite.errors import InputError
from suite.task import Writing
from suite.writing import Ending, settled

PIECES = bpe.Pieces(bpe.train(["aab\n aab\nba"] * 9, size=290))


def written(tokens, stop=(), tokenizer=PIECES):
    ending = Ending(tokenizer, stop)
    parts = [ending.add(token) for token in tokens]
    return [*parts, ending.close()], ending


@given(st.text(alphabet="ab\n東🐟", max_size=30), st.lists(st.text(alphabet="ab\n東", max_size=3), max_size=3))
@settings(deadline=None, max_examples=500)
def test_pieces_put_together_are_the_text_before_the_first_stop(text, stop):
    # One that stands inside another is complete first, and ends the text although the other began before it.
    assume(not any(one and one != other and one in other for one in stop for other in stop))
    parts, ending = written(PIECES.encode(text), stop)
    places = [text.find(each) for each in stop if each and each in text]
    assert "".join(parts) == (text[: min(places)] if places else text)
    assert ending.done


def test_a_character_is_told_when_it_is_whole():
    ids = PIECES.encode("a🐟b")
    assert written(ids)[0] == ["a", "", "", "", "🐟", "b", ""]
    assert "".join(written(ids[:-2])[0]) == "a\ufffd"


def test_what_may_be_the_beginning_of_a_stop_is_held_back():
    known = characters.Characters(characters.train(["ab\n"], size=9))
    assert written(known.encode("a\nb\n\na"), ["\n\n"], known)[0] == ["a", "", "\nb", "", "", "", ""]
    assert written(known.encode("a\n"), ["\n\n"], known)[0] == ["a", "", "\n"]


def test_a_stop_that_never_comes_ends_nothing():
    assert "".join(written(PIECES.encode("aab ab"), ["zebra"])[0]) == "aab ab"


def test_without_a_wish_tokens_are_drawn():
    found = settled(Writing())
    assert (found.max_tokens, found.temperature, found.beam) == (200, 0.8, None)
    assert settled(Writing(temperature=0.0, max_tokens=0)) == Writing(temperature=0.0, max_tokens=0)
    assert settled(Writing(beam=3, n_best=3, length_penalty=0.6)).temperature is None


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"max_tokens": -1}, "--max-tokens is at least 0. Received: -1"),
        ({"temperature": -0.1}, "--temperature is at least 0"),
        ({"temperature": float("nan")}, "--temperature is at least 0. Received: nan"),
        ({"top_k": 0}, "--top-k is at least 1"),
        ({"top_p": 1.1}, "--top-p is above 0 and at most 1"),
        ({"min_p": 0.0}, "--min-p is above 0"),
        ({"repetition_penalty": 0.0}, "--repetition-penalty is above 0"),
        ({"beam": 0}, "--beam is at least 1"),
        ({"n_best": 0}, "--top is at least 1"),
        ({"beam": 2, "n_best": 3}, "--top 3 is more than --beam 2"),
        ({"beam": 2, "temperature": 1.0}, "--beam and --temperature"),
        ({"length_penalty": 1.0}, "give --beam as well"),
        ({"coverage_penalty": 0.2}, "no source"),
    ],
)
def test_what_cannot_be_is_refused(wishes, message):
    with pytest.raises(InputError, match=message):
        settled(Writing(**wishes))


def test_a_model_without_beams_says_so():
    with pytest.raises(InputError, match="--beam: this model draws"):
        settled(Writing(beam=2), beams=False)
