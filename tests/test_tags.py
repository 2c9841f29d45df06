import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suite import tags

CLASSES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def well_formed(path):
    return all(not tag.startswith("I-") or before[2:] == tag[2:] for before, tag in itertools.pairwise(["O", *path]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_decode_finds_the_best_of_all_well_formed_sequences(seed, length):
    scores = np.random.default_rng(seed).normal(size=(length, len(CLASSES)))
    paths = [path for path in itertools.product(CLASSES, repeat=length) if well_formed(path)]
    best = max(paths, key=lambda path: sum(scores[t, CLASSES.index(tag)] for t, tag in enumerate(path)))
    assert tags.decode([scores], CLASSES) == [list(best)]


def test_sentences_do_not_affect_each_other():
    random = np.random.default_rng(0)
    scores = [random.normal(size=(length, 5)) for length in [3, 11, 1, 7, 130, *[2] * 100]]
    assert tags.decode(scores, CLASSES) == [tags.decode([score], CLASSES)[0] for score in scores]


def test_transition_scores_count():
    begins, follows = tags.transitions(["O", "B-X", "I-X"])
    flat = [np.array([[0.1, 0.0, 0.0]] * 2)]
    assert [path.tolist() for path in tags.viterbi(flat, begins, follows)] == [[0, 0]]
    follows[1, 2] = 5.0
    assert [path.tolist() for path in tags.viterbi(flat, begins, follows)] == [[1, 2]]


def test_nothing_to_decode():
    assert tags.decode([], CLASSES) == []
    assert tags.decode([np.empty((0, 5))], CLASSES) == [[]]
    assert tags.classes([]) == ["O"]
