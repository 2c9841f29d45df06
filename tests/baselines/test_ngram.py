"""Counting models: equal to a plain Kneser-Ney by dictionaries, probabilities that sum to one, drawing, keeping."""

from __future__ import annotations

import itertools
import math
import pickle
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from suite.baselines import kneser_ney, ngram
from suite.data import prose, stream
from suite.errors import InputError
from suite.task import Writing

TEXT = "the cat sat on the mat. the rat sat on the cat. a cat ate the rat that sat on a mat.\n"
TRAIN = [{"text": TEXT}, {"text": "the mat ate a rat.\n" * 3}, {"text": ""}, {"text": "東京 🐟"}]
UNSEEN = [{"text": "the rat ate that cat.\n"}, {"text": "a東z"}]
LEVELS = ("characters", "subwords")


def settings(level="characters", vocabulary=300):
    return SimpleNamespace(level=level, vocabulary=vocabulary)


def fitted(level="characters", model=ngram.kneser_ney):
    return model(TRAIN, UNSEEN, settings(level), 0)


def padded(examples, known, order):
    """Each text between start tokens: so many before it, one after it."""
    return [[2] * (order - 1) + known.encode(e["text"]).tolist() + [2] for e in examples]


def reference(model, order):
    """Probabilities by dictionaries: history and token -> p."""
    texts = padded(TRAIN, model.tokenizer, order)
    runs = [
        tuple(text[i - n + 1 : i + 1])
        for n in range(1, order + 1)
        for text in texts
        for i in range(order - 1, len(text))
    ]
    often, left = Counter(runs), defaultdict(set)
    for text in texts:
        for n, i in itertools.product(range(1, order), range(order - 1, len(text))):
            left[tuple(text[i - n + 1 : i + 1])].add(text[i - n])

    def count(run):
        return often[run] if len(run) == order or (len(run) > 1 and run[0] == 2) else len(left[run])

    def p(history, token, n=order):
        if n == 0:
            return 1 / (model.tokenizer.size - 1)
        context = tuple(history[len(history) - n + 1 :])
        counts = [c for t in range(model.tokenizer.size) if (c := count((*context, t)))]
        if not counts:
            return p(history, token, n - 1)
        off, mine = [0, *model.discounts[n - 1]], count((*context, token))
        taken = sum(off[min(c, 3)] for c in counts)
        return (mine - off[min(mine, 3)]) / sum(counts) + taken / sum(counts) * p(history, token, n - 1)

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_a_plain_implementation(order):
    json = stream.learn([e["text"] for e in TRAIN], level="characters", size=300)
    row = stream.join(TRAIN, stream.tokenizer(json, level="characters")).tokens
    discounts = np.random.default_rng(order).uniform(0.2, 0.9, (order, 3)) * [1, 2, 3]
    model = ngram.NGram(json=json, level="characters", row=row, discounts=discounts, seed=0, chosen=0.0)
    p = reference(model, order)
    [text, _] = padded(UNSEEN, model.tokenizer, order)
    expected = [-math.log(p(text[:i], text[i])) for i in range(order - 1, len(text))]
    found = model.nats(stream.join(UNSEEN[:1], model.tokenizer).tokens)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for i in (order - 1, order + 3, len(text) - 1):
        whole = model.probabilities(text[order - 2 if order > 1 else 0 : i] if order > 1 else text[:i])
        np.testing.assert_allclose(whole[1:], [p(text[:i], t) for t in range(1, model.tokenizer.size)], rtol=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("make", [ngram.kneser_ney, ngram.unigram])
def test_probabilities_sum_to_one_after_any_history(level, make):
    model = fitted(level, make)
    random = np.random.default_rng(5)
    histories = [[2], [], *(random.integers(1, model.tokenizer.size, 9).tolist() for _ in range(20))]
    histories += [[2, *model.tokenizer.encode(TEXT[:end]).tolist()] for end in range(0, 40, 3)]
    for history in histories:
        p = model.probabilities(history)
        assert p.sum() == pytest.approx(1, abs=1e-9)
        assert p[0] == 0
        assert (p[1:] > 0).all()


@pytest.mark.parametrize("level", LEVELS)
def test_nats_are_those_of_the_probabilities_and_belong_to_their_examples(level):
    model = fitted(level)
    examples = [*UNSEEN, {"text": ""}, *prose.pieces(TEXT, path="a", size=20)]
    predictions = model(examples)
    history = []
    for number, (example, prediction) in enumerate(zip(examples, predictions, strict=True)):
        if number <= 3:  # the pieces from the fourth on are one text
            history = [2]
        ids = model.tokenizer.encode(example["text"]).tolist()
        assert len(prediction["nats"]) == len(ids)
        for token, nats in zip(ids, prediction["nats"], strict=True):
            spread = model.tokenizer.charge if token == 1 else 0.0
            assert nats == pytest.approx(spread - math.log(model.probabilities(history)[token]), rel=1e-9)
            history.append(token)


def test_an_unknown_character_pays_for_all_that_it_could_be():
    [known, unknown] = fitted()([{"text": "a"}, {"text": "z"}])
    assert unknown["nats"][0] > math.log(1_112_064 - 30) > known["nats"][0] + 6


def test_discounts_are_at_a_minimum_and_longer_contexts_help():
    known = stream.tokenizer(stream.learn([TEXT], level="characters", size=99), level="characters")
    orders = kneser_ney.count(
        kneser_ney.places_of(stream.join([{"text": TEXT * 3}], known).tokens), size=known.size, order=3
    )
    seen = kneser_ney.look_up(orders, kneser_ney.places_of(stream.join(UNSEEN[:1], known).tokens), size=known.size)
    chosen = [seen[0].lower, seen[1].lower, seen[2].top]
    discounts, best = kneser_ney.fit_discounts(chosen, size=known.size)
    highest = np.array([1.0, 2.0, 3.0])
    assert ((discounts > 0) & (discounts <= highest)).all()
    for place in np.ndindex(3, 3):
        for step in (-1e-2, 1e-2):
            other = discounts.copy()
            other[place] = np.clip(other[place] + step, 1e-3, highest[place[1]])
            assert -np.log(kneser_ney.mix(chosen, other, size=known.size)[0]).mean() >= best - 1e-6
    assert best < kneser_ney.fit_discounts([seen[0].top], size=known.size)[1] - 0.5


def test_the_order_is_chosen_on_validation():
    noise = [{"text": "".join(np.random.default_rng(seed).choice(list("abcd"), 3000))} for seed in (0, 1)]
    assert len(ngram.kneser_ney(noise[:1], noise[1:], settings(), 0).discounts) <= 2
    model = ngram.kneser_ney([{"text": TEXT * 9}], [{"text": TEXT}], settings(), 0)
    assert len(model.discounts) > 3
    assert model.note.startswith(f"order {len(model.discounts)}, chosen with its discounts on validation (0.")
    assert model.parameters == sum(len(order.grams) for order in model.orders) + 3 * len(model.discounts)
    assert len(fitted(model=ngram.unigram).discounts) == 1


def test_a_text_begins_anew():
    whole = fitted()([{"text": "cat"}, {"text": "the mat"}])
    alone = fitted()([{"text": "the mat"}])
    np.testing.assert_array_equal(whole[1]["nats"], alone[0]["nats"])


@pytest.mark.parametrize("level", LEVELS)
def test_a_pickled_model_is_the_same(level):
    model = fitted(level)
    copy = pickle.loads(pickle.dumps(model))
    for one, other in zip(model(UNSEEN), copy(UNSEEN), strict=True):
        np.testing.assert_array_equal(one["nats"], other["nats"])
        assert one["samples"] == other["samples"]
    assert len(pickle.dumps(model)) < 40_000


def test_the_first_prediction_holds_the_samples():
    first, second = fitted()(UNSEEN)
    assert len(first["samples"]) == ngram.SAMPLES
    assert second["samples"] == []
    assert first["samples"] == fitted()(UNSEEN)[0]["samples"]


def test_nothing_to_train_on_is_refused():
    with pytest.raises(InputError, match="at least one text"):
        ngram.kneser_ney([{"text": ""}], [], settings(), 0)
    assert len(ngram.kneser_ney(TRAIN, [], settings(), 0)(UNSEEN)) == 2


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("prompt", ["the cat", "", "Ω≈ç never seen", TEXT * 50])
def test_any_prompt_is_continued_and_streaming_gives_the_same(level, prompt):
    model, writing = fitted(level), Writing(max_tokens=30, seed=3)
    [[answer]] = model.write([{"prompt": prompt}], writing)
    assert "".join(model.stream({"prompt": prompt}, writing)) == answer["answer"]
    assert answer["why"] in ("length", "stop")
    assert answer["probability"] is None
    assert answer["score"] == answer["log_probability"] < 0


def test_the_log_probability_is_the_models_own():
    model = fitted()
    [[answer]] = model.write([{"prompt": "the "}], Writing(max_tokens=7, temperature=0.3, seed=1))
    history, total = [2, *model.tokenizer.encode("the ").tolist()], 0.0
    for token in model.tokenizer.encode(answer["answer"]).tolist():
        total += math.log(model.probabilities(history)[token])
        history.append(token)
    assert answer["why"] == "length"
    assert answer["log_probability"] == pytest.approx(total)


def test_no_token_is_no_text():
    [[answer]] = fitted().write([{"prompt": "the"}], Writing(max_tokens=0))
    assert (answer["answer"], answer["why"], answer["score"]) == ("", "length", 0.0)
    assert list(fitted().stream({"prompt": "the"}, Writing(max_tokens=0))) == []


def test_stops_end_a_text_and_one_that_never_comes_does_not():
    model, writing = fitted(), Writing(max_tokens=60, seed=2)
    [[plain]] = model.write([{"prompt": "the"}], writing)
    stop = plain["answer"][5:7]
    [[stopped]] = model.write([{"prompt": "the"}], Writing(max_tokens=60, seed=2, stop=(stop, "zebra")))
    assert stopped["why"] == "stop"
    assert stopped["answer"] == plain["answer"][: plain["answer"].index(stop)]
    assert "".join(model.stream({"prompt": "the"}, Writing(max_tokens=60, seed=2, stop=(stop,)))) == stopped["answer"]
    assert model.write([{"prompt": "the"}], Writing(max_tokens=60, seed=2, stop=("zebra",))) == [[plain]]


def test_several_answers_come_best_first_and_do_not_depend_on_other_prompts():
    model, writing = fitted(), Writing(max_tokens=9, n_best=4, seed=5)
    [_, answers] = model.write([{"prompt": "a"}, {"prompt": "the"}], writing)
    assert [answers] == model.write([{"prompt": "the"}], writing)
    assert len({each["answer"] for each in answers}) == 4
    scores = [each["score"] for each in answers]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(InputError, match="no beam search"):
        model.write([{"prompt": "a"}], Writing(beam=2))


def test_drawing_is_as_frequent_as_it_is_probable():
    from scipy.stats import chisquare

    p = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    random = np.random.default_rng(7)
    drawn = [ngram.choose(p, Writing(temperature=1.0), [], random.random()) for _ in range(4000)]
    counts = np.bincount(drawn, minlength=5)
    assert counts[0] == 0
    assert chisquare(counts[1:], 4000 * p[1:]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("writing", "expected"),
    [
        (Writing(temperature=0.0), {4}),
        (Writing(temperature=1.0, top_k=2), {3, 4}),
        (Writing(temperature=1.0, top_k=99), {1, 2, 3, 4}),
        (Writing(temperature=1.0, top_p=0.5), {3, 4}),
        (Writing(temperature=1.0, min_p=0.5), {2, 3, 4}),
        (Writing(temperature=0.0, repetition_penalty=2.0), {3}),
        (Writing(temperature=1e-3), {4}),
    ],
)
def test_unlikely_tokens_are_cut_off(writing, expected):
    p = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    drawn = {ngram.choose(p, writing, [4], uniform) for uniform in np.linspace(0, 0.999, 300)}
    assert drawn == expected
