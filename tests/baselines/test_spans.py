"""Answers without a neural network: the best sentence, what looks like an answer in it, and when to give none."""

import pickle

import pytest

from suite.baselines import spans
from suite.errors import InputError

CONTEXT = "Bo Lee was born in 1931. In Turin, 3,000 people saw Ada de Witt on 4 May 1950. She sold olive oil."


def example(question, answer="", context=CONTEXT):
    answers = [{"text": answer, "start": context.index(answer)}] if answer else []
    return {"context": context, "question": question, "answers": answers}


TRAIN = [
    *[example("When was Bo Lee born?", "1931")] * 5,
    *[example("Who was seen by 3,000 people?", "Ada de Witt")] * 5,
    *[example("How many people saw Ada?", "3,000")] * 5,
    *[example("What did Ada sell?", "olive oil")] * 5,
]


def test_candidates_of_every_form_in_a_sentence():
    found = [(CONTEXT[span.start : span.end], span.form) for span in sorted(spans.spans(CONTEXT, 25, 79))]
    assert found == [
        ("Turin", "name"),
        ("3,000", "number"),
        ("people saw", "words"),
        ("Ada de Witt", "name"),
        ("4 May 1950", "date"),
    ]
    for span in spans.spans(CONTEXT, 0, len(CONTEXT)):
        assert CONTEXT[span.start : span.end].strip() == CONTEXT[span.start : span.end] != ""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was Eve Ray born?", "1815"),
        ("Who was seen in Paris?", "Ann Moor"),
        ("How many visitors came to Paris?", "41"),
        ("What did Ann Moor sell?", "silk"),
    ],
)
def test_the_form_that_the_question_asks_for_in_the_sentence_that_shares_most_with_it(question, answer):
    context = (
        "Al Orr was born in 1066. Eve Ray was born in 1815. In Paris 41 saw Ann Moor. What Ann Moor can sell is silk."
    )
    given = spans.matcher(TRAIN, [], None, 0)([example(question, context=context)])[0]
    assert given[0]["answer"] == answer
    for each in given:
        assert each["answer"] == (context[each["start"] : each["end"]] if each["answer"] else "")


def test_when_to_give_none_is_chosen_on_validation():
    easy = [example("When was Bo Lee born?", "1931"), example("Who was seen by 3,000 people?", "Ada de Witt")]
    none = [example("When did Zoe Quill found the museum of Oslo?"), example("Who painted the bridge at Sunset Cove?")]
    always = spans.matcher(TRAIN, easy, None, 0)
    assert always.threshold == 0
    sometimes = spans.matcher(TRAIN, [*easy, *none], None, 0)
    assert 0 < sometimes.threshold <= 1
    assert "chosen on validation" in sometimes.note
    assert [bool(given[0]["answer"]) for given in sometimes([*easy, *none])] == [True, True, False, False]
    assert always(none)[0][0]["answer"]


def test_the_floor_is_the_rule_that_is_best_on_train():
    years = [example("When?", "1931")] * 3
    floor = spans.commonest([*years, example("Who?", "Ada de Witt")], [], None, 0)
    assert floor.form == "year"
    assert floor([example("Who?")])[0][0]["answer"] == "1931"
    assert floor([example("Who?", context="Nobody knows.")])[0][0]["answer"] == ""
    nothing = spans.commonest([example("Who?")] * 3 + years[:1], [], None, 0)
    assert nothing.note == "always no answer"
    assert nothing([example("Who?")])[0][0]["answer"] == ""


@pytest.mark.parametrize(
    ("context", "question"),
    [
        ("東京は日本の首都です。大阪は西にあります。", "日本の首都は?"),
        ("😀👍🏽", "?"),
        ("...", "???"),
        ("e\u0301te\u0301 A\u0300", "e\u0301te\u0301"),
        ("a" * 5000, "a" * 500),
        ("1 " * 500, "How many?"),
    ],
    ids=["cjk", "emoji", "marks", "combining", "long", "numbers"],
)
def test_odd_texts_are_answered(context, question):
    for fit in (spans.matcher, spans.commonest):
        for given in fit(TRAIN, TRAIN[:2], None, 0)([example(question, context=context)]):
            assert given
            assert given[-1]["answer"] == "" or given[0]["answer"] == "" or len(given) == spans.GIVEN


def test_nothing_to_train_on_is_an_error_and_a_fitted_model_can_be_kept():
    for fit in (spans.matcher, spans.commonest):
        with pytest.raises(InputError, match="nothing to train on"):
            fit([], [], None, 0)
        fitted = fit(TRAIN, TRAIN, None, 0)
        assert pickle.loads(pickle.dumps(fitted))(TRAIN) == fitted(TRAIN)
        assert fitted.parameters >= 1
