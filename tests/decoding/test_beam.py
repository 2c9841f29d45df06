"""Beam search finds what an exhaustive search finds, and what a slow one without a cache finds, for every family."""

from __future__ import annotations

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.decoding import Beam, Greedy, generate
from suite.layers.capture import record

D, S = 6, 5
MEMORY = np.random.default_rng(4).normal(size=(2, S, D)).astype("float32")
PROMPTS = [[4, 2, 7], [3]]
FAMILIES = {
    "transformer": lambda **k: layers.Decoder(
        1, layers.DecoderBlock(2, feed_forward=11, **k), position=layers.RelativeBias()
    ),
    "linear": lambda **k: layers.Decoder(1, layers.DecoderBlock(layers.LinearAttention(2), feed_forward=11, **k)),
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


def ranked(hypotheses, length_penalty, coverage=lambda tokens, stopped: 0.0):
    """(tokens, log-probability, whether it stopped) -> with scores, best first."""
    scored = [
        (p / ((5 + len(t) + stopped) / 6) ** length_penalty + coverage(t, stopped), t, p, stopped)
        for t, p, stopped in hypotheses
    ]
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


def reading(model, prompt, given):
    """From a text to log-probabilities (T, N) and attention to the memory (T, S), all read at once, without a cache."""

    @functools.cache
    def read(text):
        tokens, logits = np.zeros((1, 8), "int32"), []  # of one length for speed: what comes later is not read
        tokens[0, : len(prompt) + len(text)] = [*prompt, *text]
        found = layers.capture_attention(lambda tokens: logits.append(model(tokens, **given)), tokens)
        logits = ops.convert_to_numpy(logits[0])[0].astype("float64")
        weights = list(found.values())[-1][0]  # of all attention, that to the memory comes last
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), weights.mean(axis=0)

    return read


def slow_search(log_p, coverage, strategy, stops, limit):
    """The definition, for one prompt, without a cache."""
    going, ended = [([], 0.0)], []
    for _ in range(limit):
        options = [([*t, i], p + q) for t, p in going for i, q in enumerate(log_p(t))]
        ended += [(t[:-1], p, True) for t, p in options if t[-1] in stops]
        going = sorted((o for o in options if o[0][-1] not in stops), key=lambda o: -o[1])[: strategy.size]
    hypotheses = [*ended, *((t, p, False) for t, p in going)]
    return ranked(hypotheses, strategy.length_penalty, coverage)[: strategy.n_best]


@pytest.mark.parametrize("penalty", [0.0, 0.4], ids=["", "coverage"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_equals_a_search_that_reads_all_again(family, penalty):
    attention = {"transformer": layers.FusedAttention(2), "recurrent": layers.AdditiveAttention(2)}.get(family, 2)
    model = make(family, 11, cross_attention=attention)
    strategy = Beam(3, length_penalty=0.6, coverage_penalty=penalty, n_best=3)
    mask = np.arange(S) < [[S], [3]]
    generated = generate(model, PROMPTS, max_tokens=5, strategy=strategy, stop=(5, 9), memory=MEMORY, memory_mask=mask)
    for row, prompt in enumerate(PROMPTS):
        given = {"memory": MEMORY[row : row + 1], "memory_mask": mask[row : row + 1]}
        given = {name: ops.convert_to_tensor(value) for name, value in given.items()}

        read = reading(model, prompt, given)

        def log_p(text, prompt=prompt, read=read):
            return read(tuple(text))[0][len(prompt) + len(text) - 1]

        def coverage(text, stopped, prompt=prompt, read=read, real=mask[row]):
            last = len(prompt) + len(text) - (not stopped)  # the token that was written last was not read
            sums = read(tuple(text))[1][len(prompt) - 1 : last].sum(axis=0)
            return penalty * np.log(np.clip(sums[real], 1e-6, 1)).sum()

        agree(generated.hypotheses[row], slow_search(log_p, coverage, strategy, (5, 9), 5))


def test_coverage_prefers_what_reads_the_whole_memory():
    model, given = make("transformer", 11, cross_attention=2), {"memory": MEMORY, "stop": (5, 9)}
    found = {
        penalty: generate(model, PROMPTS, max_tokens=6, strategy=Beam(4, coverage_penalty=penalty), **given)
        for penalty in (0.0, 10.0)
    }
    assert found[10.0].tokens != found[0.0].tokens
    assert all(np.array(found[10.0].scores) <= np.array(found[0.0].scores) + 1e-5)
    assert all(row[0].score < row[0].log_probability for row in found[10.0].hypotheses)


def test_without_a_coverage_penalty_nobody_asks_for_weights(monkeypatch):
    model = make("transformer", 11, cross_attention=layers.FusedAttention(2))
    asked = []
    monkeypatch.setattr(
        "suite.layers.attention.record", lambda path, weights: (asked.append(path), record(path, weights))
    )
    for penalty, wanted in ((0.0, False), (0.4, True)):
        generate(model, PROMPTS, max_tokens=2, strategy=Beam(2, coverage_penalty=penalty), memory=MEMORY)
        assert bool(asked) == wanted
    assert len(set(asked)) == 1  # self-attention is left alone


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (lambda: make("recurrent", 11), {}, "a memory where it has a coverage_penalty. Received: memory=None"),
        (lambda: Blind(make("recurrent", 11)), {"memory": MEMORY}, "read by a MultiHeadAttention.*calls none"),
    ],
)
def test_coverage_of_what_nobody_reads_is_refused(model, given, message):
    with pytest.raises(ValueError, match=message):
        generate(model(), PROMPTS, max_tokens=2, strategy=Beam(2, coverage_penalty=0.4), **given)


class Blind(keras.layers.Layer):
    """A language model that takes a memory and does not read it."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.built = self.supports_masking = True

    def make_cache(self, batch, length, *, memory, memory_mask):
        return self.model.make_cache(batch, length)

    def call(self, tokens, **arguments):
        return self.model(tokens, **arguments)


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
