"""Texts as one row of tokens: each token once, a start token where a text begins."""

import numpy as np
import pytest

from suite.data import prose
from suite.data.stream import START, by_example, join, learn, tokenizer

TEXTS = ["Turku.\n" * 30, "東京 & Bergen.\n" * 20, "", "x"]


@pytest.fixture(params=["characters", "subwords"])
def known(request):
    return tokenizer(learn(TEXTS, level=request.param, size=300), level=request.param)


def test_each_text_begins_with_a_start_token_and_comes_back(known):
    stream = join([{"text": text} for text in TEXTS], known)
    start = known.special(START)
    assert start == 2
    assert np.array_equal(stream.tokens == start, stream.owners == -1)
    assert (stream.tokens == start).sum() == len(TEXTS)
    parts = by_example(stream.tokens, stream.owners, len(TEXTS))
    assert [known.decode(part) for part in parts] == TEXTS


def test_pieces_that_follow_each_other_go_on_and_others_do_not(known):
    examples = prose.pieces(TEXTS[0], path="a", size=30) + prose.pieces(TEXTS[1], path="b", size=30)
    stream = join(examples, known)
    assert (stream.owners == -1).sum() == 2
    assert np.array_equal(
        join(examples[:3], known).tokens, np.concatenate([[2], *map(known.encode, (e["text"] for e in examples[:3]))])
    )
    assert (join([examples[0], examples[2], examples[1]], known).owners == -1).sum() == 3


def test_values_come_back_to_their_examples():
    owners = np.array([-1, 0, 0, -1, 2, -1])
    parts = by_example(np.arange(6) * 10, owners, 4)
    assert [part.tolist() for part in parts] == [[10, 20], [], [40], []]
    assert by_example(np.empty(0), np.empty(0, int), 0) == []


def test_nothing_is_an_empty_row(known):
    assert join([], known).tokens.shape == (0,)
