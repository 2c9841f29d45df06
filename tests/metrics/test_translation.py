"""Scores of translations: equal to the field's own libraries, never mixed, odd texts."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import corpus_bleu, corpus_chrf

from suite.metrics import translation as metrics

GIVEN = ["Ein Mann fährt Rad.", "Zwei Hunde laufen, im Schnee!", "Die Frau sagt: „Ja“."]
RIGHT = ["Ein Mann fährt ein Rad.", "Zwei Hunde laufen im Schnee.", "Die Frau sagt: „Ja“."]


def by_hand(given, right):
    """BLEU of texts that are cut into words, without smoothing (Papineni et al. 2002)."""
    pairs = [(a.split(), b.split()) for a, b in zip(given, right, strict=True)]
    logs = 0.0
    for n in range(1, 5):
        same = total = 0
        for a, b in pairs:
            grams = [Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for words in (a, b)]
            same += (grams[0] & grams[1]).total()
            total += grams[0].total()
        logs += math.log(same / total) / 4
    lengths = [sum(map(len, side)) for side in zip(*pairs, strict=True)]
    return 100 * math.exp(logs + min(0.0, 1 - lengths[1] / lengths[0]))


def test_each_score_is_what_its_library_gives():
    found = metrics.score(GIVEN, RIGHT, language="de").values
    assert found["bleu"] == pytest.approx(corpus_bleu(GIVEN, [RIGHT]).score)
    assert found["chrf"] == pytest.approx(corpus_chrf(GIVEN, [RIGHT]).score)
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert tuple(found) == metrics.METRICS


def test_tokenised_bleu_is_that_of_small_words_by_hand():
    words = [
        ["ein mann fährt rad .", "zwei hunde laufen , im schnee !", 'die frau sagt : " ja " .'],
        ["ein mann fährt ein rad .", "zwei hunde laufen im schnee .", 'die frau sagt : " ja " .'],
    ]
    found = metrics.score([text.upper() for text in GIVEN], RIGHT, language="de").values
    assert found["bleu_tokenized_lowercase"] == pytest.approx(by_hand(*words))
    assert found["bleu"] < 5  # which is cased


def test_words_are_cut_as_in_the_published_files_of_multi30k():
    texts = [
        "Eine Frau auf einem Boot namens „El Corazon“ lässt schwarze Gewichte ins Wasser fallen.",
        "Drei Teenager in einer U-Bahn albern herum.",
        "Ein Mann rührt, z.B. am 3. Mai, in einem Topf (allein).",
    ]
    assert metrics.tokenized(texts, "de") == [
        "eine frau auf einem boot namens &quot; el corazon &quot; lässt schwarze gewichte ins wasser fallen .",
        "drei teenager in einer u-bahn albern herum .",
        "ein mann rührt , z.b. am 3. mai , in einem topf ( allein ) .",
    ]


def test_the_signature_says_how_words_were_cut():
    signatures = [
        metrics.score(["你 好"], ["你 好"], language=language).signature for language in ("", "zh", "ja", "xx")
    ]
    assert [part in text for part, text in zip(("13a", "tok:zh", "tok:char", "13a"), signatures, strict=True)] == [
        True
    ] * 4
    assert "case:mixed" in signatures[0]
    assert "Moses xx, lower-cased" in signatures[3]


def test_one_wrong_character_is_no_exact_match_but_blanks_are():
    assert metrics.matches("Ein  Hund. ", "Ein Hund.")
    assert not metrics.matches("ein Hund.", "Ein Hund.")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(min_size=1, max_size=12)), min_size=1, max_size=4))
def test_any_texts_have_scores_in_their_range(pairs):
    given_, right = zip(*pairs, strict=True)
    found = metrics.score(given_, right).values
    assert all(0 <= found[name] <= 100 + 1e-9 for name in metrics.METRICS)
    assert 0 <= found["exact_match"] <= 1


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="at least one translation"):
        metrics.score([], [])
