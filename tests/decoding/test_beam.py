"""Beam search finds what an exhaustive search finds, and what a slow one without a cache finds, for every family."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.decoding import Beam, Greedy, generate

D, S = 6, 5
MEMORY = np.random.default_rng(4).normal(size=(2, S, D)).astype("float32")
PROMPTS = [[4, 2, 7], [3]]
FAMILIES = {
    "transformer": lambda **k: layers.Decoder(
        1, layers.DecoderBlock(2, feed_forward=11, **k), position=layers.RelativeBias()
    ),
    "recurrent": lambda **k: layers.RecurrentDecoder(2, cell="GRU", **k),
    "convolutional": lambda **k: layers.ConvolutionalDecoder(2, layers.ConvolutionalDecoderBlock(2, **k)),
}


def make(family: str, vocabulary: int, **options) -> layers.LanguageModel:
    keras.utils.set_random_seed(3)
    decoder = FAMILIES[family](**options)
    model = layers.LanguageModel(layers.TokenEmbedding(vocabulary, width=D), decoder)
    model.build((None, None), (None, None, D) if options else None)
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.8, size=weight.shape))
    return model


def log_probabilities(model, texts, **given):
    """Of the token after each, (texts, T, N), without a cache."""
    logits = ops.convert_to_numpy(model(np.array(texts, "int32"), **given)).astype("float64")
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def ranked(hypotheses, length_penalty):
    """(tokens, log-probability, whether it stopped) -> with scores, best first."""
    scored = [(p / ((5 + len(t) + stopped) / 6) ** length_penalty, t, p, stopped) for t, p, stopped in hypotheses]
    return sorted(scored, key=lambda hypothesis: -hypothesis[0])


def agree(found, expected):
    assert [h.tokens for h in found] == [tokens for _, tokens, _, _ in expected]
    assert [h.why for h in found] == ["stop" if stopped else "length" for *_, stopped in expected]
    np.testing.assert_allclose([h.score for h in found], [score for score, *_ in expected], atol=1e-4)
    np.testing.assert_allclose([h.log_probability for h in found], [p for _, _, p, _ in expected], atol=1e-4)


def test_it_equals_an_exhaustive_search_where_all_beginnings_fit():
    model, stops, limit = make("transformer", 8), (1, 2, 3, 4, 5, 7), 4  # two tokens go on: at most 8 beginnings
    texts = list(itertools.product((0, 6), repeat=limit))
    found = {
        penalty: generate(
            model, PROMPTS, max_tokens=limit, strategy=Beam(8, length_penalty=penalty, n_best=8), stop=stops
        )
        for penalty in (0.0, 0.7, 3.0)
    }
    for row, prompt in enumerate(PROMPTS):
        every = {}
        steps = log_probabilities(model, [[*prompt, *text] for text in texts])[:, len(prompt) - 1 :]
        for text, step in zip(texts, steps, strict=True):
            for length in range(limit + 1):
                total = sum(step[place, text[place]] for place in range(length))
                ends = {stop: (list(text[:length]), total + step[length, stop], True) for stop in stops}
                ends = ends if length < limit else {None: (list(text), total, False)}
                every |= {(text[:length], stop): end for stop, end in ends.items()}
        assert len(every) == 6 * (1 + 2 + 4 + 8) + 16
        for penalty, generated in found.items():
            agree(generated.hypotheses[row], ranked(every.values(), penalty)[:8])


def slow_search(log_p, strategy, stops, limit):
    """The definition, for one prompt, without a cache."""
    going, ended = [([], 0.0)], []
    for _ in range(limit):
        options = [([*t, i], p + q) for t, p in going for i, q in enumerate(log_p(t))]
        ended += [(t[:-1], p, True) for t, p in options if t[-1] in stops]
        going = sorted((o for o in options if o[0][-1] not in stops), key=lambda o: -o[1])[: strategy.size]
    return ranked([*ended, *((t, p, False) for t, p in going)], strategy.length_penalty)[: strategy.n_best]


@pytest.mark.parametrize("family", FAMILIES)
def test_it_equals_a_search_that_reads_all_again(family):
    model, strategy = make(family, 11, cross_attention=2), Beam(3, length_penalty=0.6, n_best=2)
    mask = np.arange(S) < [[S], [3]]
    generated = generate(model, PROMPTS, max_tokens=5, strategy=strategy, stop=(5, 9), memory=MEMORY, memory_mask=mask)
    for row, prompt in enumerate(PROMPTS):
        given = {"memory": MEMORY[row : row + 1], "memory_mask": mask[row : row + 1]}
        given = {name: ops.convert_to_tensor(value) for name, value in given.items()}

        def log_p(text, prompt=prompt, given=given):
            return log_probabilities(model, [[*prompt, *text]], **given)[0, -1]

        agree(generated.hypotheses[row], slow_search(log_p, strategy, (5, 9), 5))


def test_without_a_stop_token_every_hypothesis_has_all_tokens():
    model = make("recurrent", 11)
    generated = generate(model, PROMPTS, max_tokens=4, strategy=Beam(3, n_best=3))
    assert [len(h.tokens) for row in generated.hypotheses for h in row] == [4] * 6
    assert generated.why == ["length", "length"]
    greedy = generate(model, PROMPTS, max_tokens=4, strategy=Greedy())
    assert generate(model, PROMPTS, max_tokens=4, strategy=Beam(1)).tokens == greedy.tokens
    assert all(np.array(generated.scores) >= np.array(greedy.scores) - 1e-5)
    assert (generated.tokens, generated.scores) == (
        [row[0].tokens for row in generated.hypotheses],
        [row[0].log_probability for row in generated.hypotheses],
    )


def test_hypotheses_that_do_not_exist_are_not_given():
    model = make("recurrent", 4)
    generated = generate(model, PROMPTS[1:], max_tokens=1, strategy=Beam(4, n_best=4), stop=(0, 2, 7))
    assert sorted((h.tokens, h.why) for h in generated.hypotheses[0]) == [
        ([], "stop"),
        ([], "stop"),
        ([1], "length"),
        ([3], "length"),
    ]
    generated = generate(model, PROMPTS[1:], max_tokens=1, strategy=Beam(4, n_best=4), stop=(0, 1, 2, 3))
    assert [h.why for h in generated.hypotheses[0]] == ["stop"] * 4
