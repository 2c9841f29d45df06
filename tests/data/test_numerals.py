"""English to German numerals: unseen values, one right translation each, grammar that holds."""

import re
from collections import Counter

import pytest

from suite.data.datasets import numerals
from suite.data.splits import make_splits


@pytest.fixture(scope="module")
def splits():
    return numerals.load()


@pytest.fixture(scope="module")
def pairs(splits):
    return [(example["source"], example["target"]) for part in splits.values() for example in part]


def test_sizes_and_form(splits):
    assert {split: len(part) for split, part in splits.items()} == numerals.SIZES
    example = splits["train"][0]
    assert set(example) == {"source", "target", "language"}
    assert all(example["oracle"] == example["target"] for example in splits["test"])


def test_the_same_each_time_whatever_the_size(splits):
    again = numerals.sentences({"train": 5, "validation": 5})
    assert [pair.en for pair in again["train"]] == [example["source"] for example in splits["train"][:5]]
    assert [pair.de for pair in again["validation"]] == [example["target"] for example in splits["validation"][:5]]


def test_each_sentence_has_one_translation_and_occurs_once(pairs):
    assert len({source for source, _ in pairs}) == len(pairs)


def test_a_translation_comes_of_one_sentence(pairs):
    counts = Counter(target for _, target in pairs)
    assert max(counts.values()) == 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_values_are_new(monkeypatch, split):
    """Every value that a split draws is owned by it."""
    drawn = []
    original = numerals._Writer._own

    def own(self, kind, draw):
        value = original(self, kind, draw)
        drawn.append((kind, str(value)))
        return value

    monkeypatch.setattr(numerals._Writer, "_own", own)
    seen = {}
    for each in ("train", split):
        drawn.clear()
        numerals.sentences({"validation": 0, "test": 0, "train": 0} | {each: 600})
        seen[each] = set(drawn)
        assert {numerals.owner(kind, value) for kind, value in drawn} == {each}
    assert not seen["train"] & seen[split]
    assert {kind for kind, _ in seen[split]} == {"number", "percent", "price", "time", "year"}


def test_no_date_time_or_long_number_of_test_occurs_in_other_splits(splits):
    """Seen from outside, in the German texts."""
    patterns = {
        "time": re.compile(r"(\w+ Uhr(?: [a-zäöüß]+)?)\b"),
        "date": re.compile(r"(\w+n (?:Januar|Februar|März|April|Mai|Juni|Juli|August|\w+er) \w+hundert\w*)"),
        "ordinal": re.compile(r"(\w{14,}ste[nr]?) (?:Platz|Besucher|Mal)"),
        "count": re.compile(r"(\w{14,}) (?:Menschen|Wörter|Bücher|Gäste)"),
    }
    for pattern in patterns.values():
        found = {
            split: {
                value.removesuffix(" " + value.split()[-1])
                if value.split()[-1] in ("ab", "an", "noch", "aufstehen", "zurück", "und")
                else value
                for example in part
                for value in pattern.findall(example["target"])
            }
            for split, part in splits.items()
        }
        assert len(found["test"]) > 30
        assert not found["test"] & (found["train"] | found["validation"])
        assert not found["validation"] & found["train"]


def test_words_of_test_are_known_in_their_parts(splits):
    """New are the values, not what they are made of: English words of test occur in training, but for rare ordinals."""
    words = [{word for e in splits[split] for word in re.findall(r"\w+", e["source"])} for split in ("train", "test")]
    assert all(re.search("[sr]?t[he]*$", word) for word in words[1] - words[0])
    assert len(words[1] - words[0]) <= 2


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (r"two thirty-\w+ in the afternoon", r"vierzehn Uhr \w+unddreißig"),
        (r"eight o'clock in the evening", "zwanzig Uhr"),
        (r"twelve \w+-\w+ in the morning", "null Uhr"),
        (r"twelve \w+-\w+ in the afternoon", "zwölf Uhr"),
        (r"\w+ oh-five in the morning", "Uhr fünf"),
        (r"March twenty-third, nineteen", r"dreiundzwanzigsten? März neunzehn"),
        (r"\b(\w+ point \w+ percent)", r"\w+ Komma \w+ Prozent"),
        (r"Swedish kronor", "Schwedische Kronen"),
    ],
)
def test_what_stands_in_one_language_stands_in_the_other(pairs, source, target):
    found = [pair for pair in pairs if re.search(source, pair[0])]
    assert found
    assert all(re.search(target, pair[1]) for pair in found)


def test_german_is_as_a_person_writes_it(pairs):
    for _, target in pairs:
        assert re.fullmatch(r"[A-ZÄÖÜ][\w ,.\-?]+[.?]", target), target
        assert "  " not in target
        assert "{" not in target
        # What the libraries do not decline does not occur.
        assert "einstausend" not in target
        assert "eins Uhr" not in target
        assert not re.search(r"(?<!Uhr )(?<!Komma )\beins\b(?! Komma)", target), target
        assert not re.search(r"hunderteins (?:[A-Z]\w*en|Meter|Kilometer|Gramm|Euro|Platz|US)\b", target), target


def test_the_examples_of_the_documentation():
    en, de = numerals._counted(347)
    assert (en, de) == ("three hundred and forty-seven", "dreihundertsiebenundvierzig")
    assert numerals._year(1984) == ("nineteen eighty-four", "neunzehnhundertvierundachtzig")


def test_the_splits_share_nothing(splits):
    made = make_splits(splits, name="numerals")
    assert made.notes == ()
