"""The embedded news: the same everywhere, new names in test, cues out of a neighbour's sight, and an honest ceiling."""

import json
import os
import re
import subprocess
import sys
import tomllib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from seqeval.metrics import f1_score

from suite.data import conll
from suite.data.datasets import news
from suite.data.splits import make_splits

ROOT = Path(__file__).parents[2]
FINGERPRINT = "f111eacdc44e0e2a"


@pytest.fixture(scope="module")
def drawn():
    return news.sentences()


@pytest.fixture(scope="module")
def many():
    """More sentences of one kind than the dataset has, for what is counted."""
    return news.sentences({"train": 7000})["train"]


@pytest.fixture(scope="module")
def grammar():
    return tomllib.loads((ROOT / "suite/data/datasets/news.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def glue(grammar):
    """The words of names that are not drawn from a list of names: of the grammar, and legal forms."""
    suffixes = json.loads((ROOT / "suite/data/names.json").read_text(encoding="utf-8"))["company_suffix"]
    words = json.dumps(grammar, ensure_ascii=False).replace("\\", "").split() + suffixes
    return {folded(word.strip('{}",[]')) for word in words} | {folded(word) for word in suffixes}


def folded(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.upper().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def lookup_accuracy(train: list, test: list, key: Callable) -> float:
    """The accuracy of the type of {X} when each key gets the type that it has most often in training."""
    counts: defaultdict = defaultdict(Counter)
    for sentence in train:
        for part in (str(key(sentence)), None):
            counts[part][sentence.tags[sentence.open[0]]] += 1
    best = {part: count.most_common(1)[0][0] for part, count in counts.items()}
    right = [best.get(str(key(sentence)), best[None]) == sentence.tags[sentence.open[0]] for sentence in test]
    return sum(right) / len(right)


def test_the_data_never_change():
    assert make_splits(news.load(), name="news").fingerprint() == FINGERPRINT


def test_another_process_draws_the_same():
    code = "from suite.data.datasets import news; print(hash(str(news.load())) and news.load()['test'][-1]['tokens'])"
    environment = os.environ | {"PYTHONHASHSEED": "12345", "LC_ALL": "C", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(news.load()["test"][-1]["tokens"]), done.stderr


def test_examples():
    splits = news.load()
    assert {split: len(examples) for split, examples in splits.items()} == news.SIZES
    assert news.available()
    for split, examples in splits.items():
        for example in examples:
            assert set(example) == {"tokens", "tags"} | ({"oracle"} if split == "test" else set())
            assert len(example["tokens"]) == len(example["tags"])
            assert conll.iob2(example["tags"]) == example["tags"]
            assert all(token and not re.search(r"[\s{}]", token) for token in example["tokens"])
    types = {tag[2:] for examples in splits.values() for example in examples for tag in example["tags"]}
    assert types == {"", "PER", "ORG", "LOC", "EVENT"}
    assert make_splits(splits, name="news").notes == ()


def test_headlines_and_messages(drawn):
    for part in drawn.values():
        texts = ["".join(sentence.tokens) for sentence in part]
        assert 0.04 < sum(text.isupper() for text in texts) / len(texts) < 0.12
        assert 0.04 < sum(text.islower() for text in texts) / len(texts) < 0.12


def test_no_name_of_validation_or_test_occurs_in_another_split(drawn, glue):
    words = {
        split: {folded(part) for sentence in part_of for token in sentence.tokens for part in token.split("-")}
        for split, part_of in drawn.items()
    }
    for split, others in (("test", ("train", "validation")), ("validation", ("train", "test"))):
        names = {
            folded(part)
            for sentence in drawn[split]
            for token, tag in zip(sentence.tokens, sentence.tags, strict=True)
            if tag != "O"
            for part in token.split("-")
        }
        names = {name for name in names if name not in glue and not re.fullmatch(r"[a-z]\.", name)}
        assert len(names) > 500
        assert not names & set.union(*(words[other] for other in others))


def test_shares_of_what_is_hard(drawn):
    for part in drawn.values():
        distant = sum(bool(sentence.cue) for sentence in part) / len(part)
        ambiguous = sum(bool(sentence.open) and not sentence.cue for sentence in part) / len(part)
        assert 0.43 < distant < 0.53
        assert 0.06 < ambiguous < 0.11


def test_no_phrase_is_a_cue_for_two_types(grammar):
    types = {name.partition("_")[0] for name in grammar["forms"]} - {"bare", "forum"}
    cues = {name: phrases for name, phrases in grammar["phrases"].items() if name.partition("_")[0] in types}
    for name, phrases in cues.items():
        others = {
            phrase
            for other, listed in cues.items()
            if other.partition("_")[0] != name.partition("_")[0]
            for phrase in listed
        }
        assert not others & set(phrases), name


def test_cues_are_at_least_four_words_away_on_both_sides(drawn):
    sides = Counter()
    for sentence in drawn["train"] + drawn["test"]:
        if sentence.cue:
            assert min(abs(index - cue) for index in sentence.open for cue in sentence.cue) >= 4
            sides["left" if sentence.cue[0] < sentence.open[0] else "right"] += 1
    assert min(sides.values()) > 0.3 * sides.total()


def test_a_bare_name_occurs_again_only_where_that_decides(many):
    repeated = 0
    for sentence in many:
        words = [word.lower() for word in sentence.tokens]
        if len(sentence.open) == 1 and words.count(words[sentence.open[0]]) > 1:
            repeated += 1
            assert {sentence.tags[i][2:] for i, word in enumerate(words) if word == words[sentence.open[0]]} == {
                sentence.tags[sentence.open[0]][2:]
            }
            assert any(words[index] == words[sentence.open[0]] for index in sentence.cue)
    assert repeated > 0.03 * len(many)


def word(sentence: news.Sentence, offset: int) -> str:
    """The word so many places after the end of {X}, or before its start."""
    index = sentence.open[-1] + offset if offset > 0 else sentence.open[0] + offset
    return sentence.tokens[index].lower() if 0 <= index < len(sentence.tokens) else ""


@pytest.mark.parametrize(("length", "chance"), [(1, 0.36), (2, 0.54)])
def test_neither_neighbours_nor_the_name_tell_the_type(many, length, chance):
    hard = [sentence for sentence in many if sentence.cue and len(sentence.open) == length]
    train, test = hard[::2], hard[1::2]
    keys = [
        *(lambda sentence, offset=offset: word(sentence, offset) for offset in (-2, -1, 1, 2)),
        lambda sentence: [word(sentence, offset) for offset in (-2, -1)],
        lambda sentence: [word(sentence, offset) for offset in (1, 2)],
        lambda sentence: [word(sentence, offset) for offset in (-2, -1, 1, 2)],
        lambda sentence: sentence.tokens[sentence.open[0]][-2:].lower(),
        lambda sentence: len(sentence.tokens),
        lambda sentence: sentence.open[0],
    ]
    for key in keys:
        assert lookup_accuracy(train, test, key) < chance + 0.04

    def cue(sentence):
        return [sentence.tokens[index].lower() for index in sentence.cue[:2]]

    assert lookup_accuracy(train, test, cue) > chance + 0.35


def test_the_rest_of_the_sentence_fixes_the_best_answer(many, glue):
    answers = defaultdict(set)
    for sentence in many:
        words = tuple(word.lower() if folded(word) in glue else "N" for word in sentence.tokens)
        answers[words].add(sentence.oracle)
    assert len(answers) < len(many)
    assert all(len(answer) == 1 for answer in answers.values())


def test_the_oracle_errs_only_where_nothing_decides(drawn, many, grammar):
    for sentence in [*drawn["test"], *many]:
        if sentence.cue or not sentence.open:
            assert sentence.oracle == sentence.tags
    readings = defaultdict(Counter)
    oracles = defaultdict(set)
    for sentence in many:
        if sentence.open and not sentence.cue:
            readings[sentence.family][sentence.tags[sentence.open[0]]] += 1
            oracles[sentence.family].add(sentence.oracle[sentence.open[0]])
    assert len(readings) == 5
    weights = {family["name"]: family.get("readings", {}) for family in grammar["families"]}
    for family, counts in readings.items():
        assert oracles[family] == {counts.most_common(1)[0][0]}
        # Naming an entity pays, in F1, where it is right more often than half of the F1 that can be reached.
        assert 0.5 < max(weights[family].values()) / sum(weights[family].values()) < 0.8


def test_the_ceiling(drawn):
    gold = [list(sentence.tags) for sentence in drawn["test"]]
    best = [list(sentence.oracle) for sentence in drawn["test"]]
    assert 0.97 < f1_score(gold, best) < 0.985
