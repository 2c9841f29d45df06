"""Generated passages: the same everywhere, new names in test, and one right answer alone."""

import hashlib
import json
from collections import Counter

import pytest

from suite.baselines import spans
from suite.data.datasets import passages
from suite.metrics import spans as metrics


@pytest.fixture(scope="module")
def questions():
    return passages.questions()


@pytest.fixture(scope="module")
def parts():
    return passages.load()


def test_sizes_and_content_are_fixed(parts):
    assert {split: len(part) for split, part in parts.items()} == passages.SIZES
    text = json.dumps(parts, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "edceb7a08ba9"


def test_the_first_questions_do_not_depend_on_how_many_there_are(questions):
    few = passages.questions({"train": 20, "validation": 20, "test": 20})
    assert few["test"] == questions["test"][:20]


def test_an_answer_stands_at_its_place(parts):
    for examples in parts.values():
        for example in examples:
            for answer in example["answers"]:
                start = answer["start"]
                assert example["context"][start : start + len(answer["text"])] == answer["text"]


def test_facts_decide_the_answer_and_no_other_fact_fits(questions):
    for question in [question for part in questions.values() for question in part]:
        *bridge, told = question.needed
        fits = [fact for fact in question.facts if (fact.relation, fact.subject) == (told.relation, told.subject)]
        if question.start is None:
            assert fits == []
        else:
            assert [fact.value for fact in fits] == [question.answer]
            assert question.context.count(question.answer) >= 1
        for fact in bridge:
            assert fact in question.facts
            assert fact.value == told.subject  # two steps
            assert fact.value not in question.question
        assert question.facts


def parts_of(name):
    """Every way to cut a name in two."""
    words = name.split()
    return [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]


def test_each_name_belongs_to_one_split(questions):
    towns, firms = {"birthplace", "residence", "seat"}, {"employer"}
    people = {"spouse", "founder", "chief", "mayor"}
    for split, part in questions.items():
        values = {(fact.relation, fact.value) for question in part for fact in question.facts}
        assert all(passages.owner(value) == split for relation, value in values if relation in towns)
        for relation, value in values:
            if relation in firms:
                assert any(passages.owner(last) == split for last, _ in parts_of(value))
            if relation in people:
                assert any(passages.owner(first) == passages.owner(last) == split for first, last in parts_of(value))
    assert passages.owner("Émile") == passages.owner("emile")  # neither case nor accents make a new name


def test_the_mixture_is_as_promised(questions):
    part = questions["train"]
    assert sum(question.start is None for question in part) / len(part) == pytest.approx(1 / 6, abs=0.02)
    assert sum(len(question.needed) == 2 for question in part) / len(part) == pytest.approx(1 / 3, abs=0.03)
    rivals = sum(
        any(
            fact.relation == question.needed[-1].relation and fact.subject != question.needed[-1].subject
            for fact in question.facts
        )
        for question in part
    )
    assert rivals / len(part) > 0.7
    asked = Counter(question.needed[-1].relation for question in part)
    assert len(asked) == 18
    assert min(asked.values()) > 60


def test_the_ceiling_is_one_and_the_baselines_are_between_nothing_and_it(parts):
    gold = [[answer["text"] for answer in example["answers"]] for example in parts["test"]]
    best = metrics.scores(gold, [example["oracle"][0]["answer"] for example in parts["test"]])
    assert best["f1"] == best["exact"] == 1
    small = parts["train"][:1000], parts["validation"][:200]
    for baseline, low, high in ((spans.matcher, 0.25, 0.6), (spans.commonest, 0.1, 0.25)):
        given = baseline(*small, None, 0)(parts["test"])
        assert low < metrics.scores(gold, [answers[0]["answer"] for answers in given])["f1"] < high
