"""The embedded reviews: the same everywhere, an honest ceiling, and words that alone tell little."""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from suite.data.datasets import reviews
from suite.data.splits import make_splits

ROOT = Path(__file__).parents[2]
FINGERPRINT = "6032873fc7a24d93"


@pytest.fixture(scope="module")
def drawn():
    return reviews.reviews()


@pytest.fixture(scope="module")
def many():
    """More reviews than the dataset has, for what is counted."""
    return reviews.reviews({"train": 8000})["train"]


@pytest.fixture(scope="module")
def grammar():
    return tomllib.loads((ROOT / "suite/data/datasets/reviews.toml").read_text(encoding="utf-8"))


def test_the_data_never_change():
    assert make_splits(reviews.load(), name="reviews").fingerprint() == FINGERPRINT


def test_another_process_draws_the_same():
    code = "from suite.data.datasets import reviews; print(reviews.load()['test'][-1]['text'])"
    environment = os.environ | {"PYTHONHASHSEED": "12345", "LC_ALL": "C", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == reviews.load()["test"][-1]["text"], done.stderr


def test_examples():
    splits = reviews.load()
    assert {split: len(examples) for split, examples in splits.items()} == reviews.SIZES
    assert reviews.available()
    texts = [example["text"] for examples in splits.values() for example in examples]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 ',;.-]+\.", text), text
        assert not re.search(r"  | [,.;]|\.[^ ]|[a-z]\. [a-z]|[{}]", text[:-1]), text
    assert make_splits(splits, name="reviews").notes == ()


def test_the_oracle_is_in_test_alone_and_sums_to_one():
    for split, examples in reviews.load().items():
        for example in examples:
            assert set(example) == {"text", "label"} | ({"oracle"} if split == "test" else set())
            if split == "test":
                assert example["oracle"].keys() == {"negative", "positive"}
                assert sum(example["oracle"].values()) == pytest.approx(1)


def test_shares_of_kinds_and_classes(many, grammar):
    counts = Counter(review.kind for review in many)
    total = sum(grammar["kinds"].values())
    for kind, share in grammar["kinds"].items():
        assert counts[kind] / len(many) == pytest.approx(share / total, abs=0.02)
    assert sum(review.positive for review in many) / len(many) == pytest.approx(0.5, abs=0.02)


def test_the_ceiling(drawn, many):
    for review in many:
        assert review.probability in ((0.3, 0.7) if review.kind == "mixed" else (0.0, 1.0)) or review.probability == (
            pytest.approx(0.3)
        )
        if review.kind != "mixed":
            assert review.positive == bool(review.probability)
    right = [(review.probability > 0.5) == review.positive for review in drawn["test"]]
    assert 0.97 < sum(right) / len(right) < 0.985
    mixed = [(review.probability > 0.5) == review.positive for review in many if review.kind == "mixed"]
    assert sum(mixed) / len(mixed) == pytest.approx(0.7, abs=0.05)


def sense(word, grammar):
    return word in grammar["words"]["praise"]


def test_no_word_of_praise_is_one_of_blame_and_none_is_new_in_test(drawn, grammar):
    praise, blame = (set(grammar["words"][name]) for name in ("praise", "blame"))
    assert not praise & blame
    words = {split: set(" ".join(review.text.lower() for review in part).split()) for split, part in drawn.items()}
    assert praise | blame <= {word.strip(".,;") for word in words["train"]}


def test_counting_words_of_praise_and_blame_is_no_way_to_the_answer(many, grammar):
    right = Counter()
    for review in many:
        words = re.findall(r"[\w-]+", review.text.lower())
        balance = sum(word in grammar["words"]["praise"] for word in words) - sum(
            word in grammar["words"]["blame"] for word in words
        )
        right[review.kind] += 0.5 if balance == 0 else (balance > 0) == review.positive
    assert 0.55 < sum(right.values()) / len(many) < 0.75
    assert right["contrast"] / sum(review.kind == "contrast" for review in many) < 0.65


def solve(text, grammar):
    """Reads a review by the grammar's own rules: the sense, or None where nothing decides."""
    text = text.lower()
    for sign, verdicts in ((True, grammar["reports"]["right"]), (False, grammar["reports"]["wrong"])):
        if any(verdict.lower() in text for verdict in verdicts):
            words = re.findall(r"[\w-]+", text)
            (word,) = [word for word in words if word in grammar["words"]["praise"] + grammar["words"]["blame"]]
            return sense(word, grammar) == sign
    return None


def test_reports_are_solved_by_their_rule(many, grammar):
    reports = [review for review in many if review.kind == "report"]
    assert all(solve(review.text, grammar) == review.positive for review in reports)
    verdicts = Counter(any(v in review.text for v in grammar["reports"]["right"]) for review in reports)
    assert 0.6 < verdicts[True] / len(reports) < 0.7
