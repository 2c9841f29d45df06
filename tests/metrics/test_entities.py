"""Entity scores against hand counts, seqeval, and conlleval's rule written once more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

from suite.metrics.entities import entities, entity_scores

TAGS = ["O", *(f"{prefix}-{kind}" for kind in ("PER", "LOC", "creative-work") for prefix in "BI")]
PAIR = st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS))
sentences = st.lists(st.lists(PAIR, max_size=9), min_size=1, max_size=5)

HAND_MADE = """\
Anna    B-PER  B-PER
Berg    I-PER  I-PER
left    O      O
Rome    B-LOC  B-ORG
.       O      O

The     O      O
Bank    B-ORG  B-ORG
of      I-ORG  I-ORG
Siena   I-ORG  B-LOC
hired   O      O
Carl    B-PER  I-PER
and     O      O
Dora    B-PER  B-PER

It      O      B-PER
rained  O      O
"""


def read_hand_made() -> tuple[list[list[str]], list[list[str]]]:
    rows = [[line.split() for line in block.splitlines()] for block in HAND_MADE.split("\n\n")]
    return [[row[1] for row in block] for block in rows], [[row[2] for row in block] for block in rows]


def unzip(pairs: list[list[tuple[str, str]]]) -> tuple[list[list[str]], list[list[str]]]:
    return [[a for a, _ in sentence] for sentence in pairs], [[b for _, b in sentence] for sentence in pairs]


def conlleval_chunks(tags: list[str]) -> list[tuple[int, int, str]]:
    """startOfChunk and endOfChunk of conlleval for IOB tags."""
    chunks, start = [], None
    before, kind_before = "O", ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        if start is not None and (prefix in "BO" or kind != kind_before):
            chunks.append((start, i, kind_before))
            start = None
        if prefix == "B" or (prefix == "I" and (before == "O" or kind != kind_before)):
            start = i
        before, kind_before = prefix, kind
    return chunks


def test_hand_counted_scores() -> None:
    # gold:      Anna Berg PER, Rome LOC, Bank of Siena ORG, Carl PER, Dora PER                            = 5 entities
    # predicted: Anna Berg PER, Rome ORG, Bank of ORG, Siena LOC, Carl PER (an I- after O), Dora PER, It PER = 7
    # right:     Anna Berg, Carl, Dora                                                                       = 3
    # PER 3 of 4 predicted, 3 of 3 gold; LOC 0 of 1, 0 of 1; ORG 0 of 2, 0 of 1
    # tokens: 15, wrong: Rome, Siena, Carl (I-PER for B-PER), It                                             = 11 right
    scores = entity_scores(*read_hand_made())
    assert scores == pytest.approx(
        {
            "f1": 6 / 12,
            "precision": 3 / 7,
            "recall": 3 / 5,
            "macro_f1": (6 / 7 + 0 + 0) / 3,
            "accuracy": 11 / 15,
            "f1/LOC": 0.0,
            "precision/LOC": 0.0,
            "recall/LOC": 0.0,
            "f1/ORG": 0.0,
            "precision/ORG": 0.0,
            "recall/ORG": 0.0,
            "f1/PER": 6 / 7,
            "precision/PER": 3 / 4,
            "recall/PER": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["I-PER", "I-PER", "O"], [(0, 2, "PER")]),
        (["O", "I-PER"], [(1, 2, "PER")]),
        (["B-PER", "I-LOC", "I-LOC"], [(0, 1, "PER"), (1, 3, "LOC")]),
        (["I-PER", "B-PER", "I-PER"], [(0, 1, "PER"), (1, 3, "PER")]),
        (["B-creative-work", "I-creative-work"], [(0, 2, "creative-work")]),
        (["O"], []),
        ([], []),
    ],
)
def test_where_entities_start_and_stop(tags: list[str], expected: list[tuple[int, int, str]]) -> None:
    assert entities(tags) == expected
    assert entities(tuple(tags)) == expected


def test_an_entity_never_crosses_a_sentence() -> None:
    assert entity_scores([["B-PER"], ["I-PER"]], [["B-PER"], ["I-PER"]])["f1"] == 1.0
    assert entity_scores([["B-PER"], ["O"]], [["B-PER"], ["I-PER"]])["precision"] == 0.5


@settings(deadline=None)
@given(sentences)
def test_entities_follow_conlleval(pairs: list[list[tuple[str, str]]]) -> None:
    for tags in unzip(pairs)[0]:
        assert entities(tags) == conlleval_chunks(tags)


@settings(deadline=None)
@given(sentences)
def test_equals_seqeval(pairs: list[list[tuple[str, str]]]) -> None:
    gold, predicted = unzip(pairs)
    scores = entity_scores(gold, predicted)
    kinds = sorted(name.removeprefix("f1/") for name in scores if name.startswith("f1/"))
    for name, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert scores[name] == pytest.approx(function(gold, predicted, zero_division=0))
        if kinds:
            each = function(gold, predicted, average=None, zero_division=0)
            assert [scores[f"{name}/{kind}"] for kind in kinds] == pytest.approx(list(each))
    if kinds:
        assert scores["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=0))
    if any(gold):
        assert scores["accuracy"] == pytest.approx(accuracy_score(gold, predicted))


@pytest.mark.parametrize(("gold", "predicted"), [([], []), ([[]], [[]]), ([["O"]], [["O"]])])
def test_nothing_to_find_scores_zero_without_a_warning(gold: list[list[str]], predicted: list[list[str]]) -> None:
    scores = entity_scores(gold, predicted)
    assert {scores[name] for name in ("f1", "precision", "recall", "macro_f1")} == {0.0}
    assert scores["accuracy"] == float(any(gold))


def test_a_sentence_of_another_length_is_named() -> None:
    with pytest.raises(ValueError, match=r"sentence 1: expected 2 tags, as in gold. Received: 3"):
        entity_scores([["O"], ["O", "O"]], [["O"], ["O", "O", "O"]])
    with pytest.raises(ValueError, match=r"tags for 2 sentences, as in gold. Received: 1"):
        entity_scores([["O"], ["O"]], [["O"]])
