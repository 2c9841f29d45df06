"""The dictionary of model 1 against expectation maximisation by hand, and what it does with odd texts."""

import pickle
from collections import defaultdict

import pytest

from suite.baselines import translation
from suite.errors import InputError

PAIRS = [
    ("the house is small", "das Haus ist klein"),
    ("the house", "das Haus"),
    ("the book is new", "das Buch ist neu"),
    ("a book", "ein Buch"),
    ("a small house", "ein kleines Haus"),
]
TRAIN = [{"source": source, "target": target} for source, target in PAIRS]


def by_hand(pairs, rounds):
    """t(target | source) after so many rounds (Brown et al. 1993)."""
    chance = defaultdict(lambda: 1.0)
    for _ in range(rounds):
        counts, totals = defaultdict(float), defaultdict(float)
        for source, target in pairs:
            for t in target.split():
                whole = sum(chance[s, t] for s in source.split())
                for s in source.split():
                    counts[s, t] += chance[s, t] / whole
                    totals[s] += chance[s, t] / whole
        chance = defaultdict(float, {(s, t): count / totals[s] for (s, t), count in counts.items()})
    return chance


@pytest.mark.parametrize("rounds", [1, 2, 5, 10])
def test_it_is_model_1(rounds):
    chance = by_hand(PAIRS, rounds)
    found = translation._Cooccurrences(TRAIN).learned(rounds)
    assert set(found) == {word for source, _ in PAIRS for word in source.split()}
    for source, target in found.items():
        assert chance[source, target] == pytest.approx(max(p for (s, _), p in chance.items() if s == source))


def test_words_stay_where_they_were_and_so_does_what_is_no_word():
    fitted = translation.dictionary(TRAIN, TRAIN[:2], None, 0)
    answers = fitted([{"source": "A new book, 7 houses: 東京!\n"}, {"source": ""}, {"source": "the a"}])
    assert answers == ["Ein neu Buch, 7 houses: 東京!\n", "", "das ein"]
    assert fitted.parameters == 7
    assert "chosen on validation bleu" in fitted.note
    again = pickle.loads(pickle.dumps(fitted))
    assert again([{"source": "the house"}]) == ["das Haus"]


def test_rounds_are_chosen_on_validation(monkeypatch):
    notes = []
    for best in translation.ROUNDS:
        scores = iter([float(rounds == best) for rounds in translation.ROUNDS])
        monkeypatch.setattr(translation.metrics, "bleu", lambda given, right, scores=scores: next(scores))
        notes.append(translation.dictionary(TRAIN, TRAIN, None, 0).note)
    assert notes == [f"{rounds} rounds, chosen on validation bleu" for rounds in translation.ROUNDS]


def test_a_large_training_set_is_read_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(translation, "LARGEST", 21)
    fitted = translation.dictionary(TRAIN, [], None, 0)
    assert "fitted on the first 2 training examples" in fitted.note
    assert set(fitted.words) == {"the", "house", "is", "small"}


def test_copying():
    fitted = translation.copy(TRAIN, TRAIN, None, 0)
    assert fitted(TRAIN[:2]) == ["the house is small", "the house"]
    assert fitted.parameters == 0
    assert pickle.loads(pickle.dumps(fitted))(TRAIN[:1]) == ["the house is small"]


def test_without_training_examples_or_words():
    with pytest.raises(InputError, match="nothing to train on"):
        translation.dictionary([], [], None, 0)
    assert translation.dictionary([{"source": "!", "target": "?"}], [], None, 0)([{"source": "a !"}]) == ["a !"]
