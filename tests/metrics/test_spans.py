"""SQuAD's scores, against the steps of its evaluation scripts on a file of awkward cases, and on random answers."""

import collections
import json
import random
import re
import string
from pathlib import Path

import pytest

from suite.metrics import spans

CASES = json.loads(Path(__file__).with_name("spans_cases.json").read_text(encoding="utf-8"))


def official_tokens(text):
    kept = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split()).split()


def official_f1(gold, answer, version):
    gold, answer = official_tokens(gold), official_tokens(answer)
    same = sum((collections.Counter(gold) & collections.Counter(answer)).values())
    if version == "2.0" and (len(gold) == 0 or len(answer) == 0):
        return int(gold == answer)
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(answer), 1.0 * same / len(gold)
    return (2 * precision * recall) / (precision + recall)


def official(questions, version):
    """The `evaluate` of the scripts: percentages, with the groups of 2.0."""
    rows = []
    for question in questions:
        texts = list(question["gold"])
        if version == "2.0":
            texts = [text for text in texts if official_tokens(text)] or [""]
        exact = max(int(official_tokens(text) == official_tokens(question["answer"])) for text in texts)
        f1 = max(official_f1(text, question["answer"], version) for text in texts)
        rows.append((bool(question["gold"]), exact, f1))
    groups = {"": rows}
    if version == "2.0":
        groups |= {"HasAns_": [row for row in rows if row[0]], "NoAns_": [row for row in rows if not row[0]]}
    return {
        f"{prefix}{name}": 100.0 * sum(row[column] for row in group) / len(group)
        for prefix, group in groups.items()
        for name, column in (("exact", 1), ("f1", 2))
        if group
    }


OURS = {"HasAns_": "has_answer_", "NoAns_": "no_answer_"}


def compare(questions, version):
    found = spans.scores([question["gold"] for question in questions], [question["answer"] for question in questions])
    wanted = official(questions, version)
    for name, value in wanted.items():
        ours = name
        for theirs, prefix in OURS.items():
            ours = ours.replace(theirs, prefix)
        assert found.pop(ours) == pytest.approx(value / 100, abs=1e-12), name
    assert not found


def test_version_2_on_the_awkward_cases():
    compare(CASES, "2.0")


def test_version_1_on_the_awkward_cases_that_have_an_answer():
    compare([case for case in CASES if case["gold"]], "1.1")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{'/'.join(case['gold'])}<-{case['answer']}")
def test_each_awkward_case_alone(case):
    compare([case], "2.0" if not case["gold"] else "1.1")


def test_the_awkward_cases_tell_the_versions_apart():
    answered = [case for case in CASES if case["gold"]]
    assert official(answered, "1.1")["f1"] != official(answered, "2.0")["f1"]


def test_random_answers():
    generator = random.Random(3)
    words = ["the", "a", "An", "THE", "cat", "cat.", "Cat", "dog", "...", "dog's", "é", "\u3000", "«cat»", "3,000", ""]

    def text():
        return " ".join(generator.choice(words) for _ in range(generator.randrange(5)))

    for _ in range(300):
        questions = [{"gold": [text() for _ in range(generator.randrange(4))], "answer": text()} for _ in range(4)]
        compare(questions, "1.1" if all(question["gold"] for question in questions) else "2.0")


def test_known_values():
    gold = [["Rollo"], ["the Norman dynasty", "Norman dynasty of England"], []]
    found = spans.scores(gold, ["rollo!", "dynasty", "Rollo"])
    assert found == {
        "f1": pytest.approx((1 + 2 / 3 + 0) / 3),
        "exact": pytest.approx(1 / 3),
        "has_answer_f1": pytest.approx((1 + 2 / 3) / 2),
        "has_answer_exact": 0.5,
        "no_answer_f1": 0.0,
        "no_answer_exact": 0.0,
    }


def test_answers_and_questions_must_be_as_many():
    with pytest.raises(ValueError, match="shorter"):
        spans.scores([["a"], ["b"]], ["a"])
