"""Whole texts and streams equal what reading everything again for each token gives, for every family and strategy."""

from __future__ import annotations

import functools
import gc
import weakref

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.backend import compiled
from suite.decoding import Beam, Greedy, Sample, generate, generation, stream
from suite.decoding.prompts import bucket, pad_prompts, uniforms

S, D, N = 5, 12, 17
PROMPTS = [[4, 2, 7, 9, 11], [3], [5, 6]]
MEMORY = np.random.default_rng(4).normal(size=(3, S, D)).astype("float32")
MEMORY_MASK = np.arange(S) < [[S], [2], [4]]
WHERE = {"memory": MEMORY, "memory_mask": MEMORY_MASK}
FAMILIES = {
    "transformer": lambda **k: layers.Decoder(
        2, layers.DecoderBlock(layers.MultiHeadAttention(2, kv_heads=1), feed_forward=11, **k), position=layers.Rotary()
    ),
    "learned positions": lambda **k: layers.Decoder(
        2, layers.DecoderBlock(2, feed_forward=11, **k), position=layers.Learned(13)
    ),
    "alibi": lambda **k: layers.Decoder(1, layers.DecoderBlock(2, feed_forward=11, **k), position=layers.Alibi()),
    "relative": lambda **k: layers.Decoder(
        1, layers.DecoderBlock(2, feed_forward=11, **k), position=layers.RelativeBias()
    ),
    "recurrent": lambda **k: layers.RecurrentDecoder(2, **k),
    "additive": lambda **k: layers.RecurrentDecoder(
        1, cell="GRU", **({"cross_attention": layers.AdditiveAttention(2)} if k else {})
    ),
    "convolutional": lambda **k: layers.ConvolutionalDecoder(
        2, layers.ConvolutionalDecoderBlock(3, **k), dilations=(1, 2), position=layers.Sinusoidal()
    ),
}


def make(family: str, *, memory: bool = False) -> layers.LanguageModel:
    keras.utils.set_random_seed(3)
    decoder = FAMILIES[family](**({"cross_attention": 2} if memory else {}))
    model = layers.LanguageModel(layers.TokenEmbedding(N, width=D), decoder)
    model.build((None, None), (None, None, D) if memory else None)
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    return model


@pytest.fixture(scope="module")
def models():
    """Each family, without and with a memory."""
    return functools.cache(lambda family, memory: make(family, memory=memory))


def expected(model, strategy, written, *, memory, seed):
    """What the definitions choose after each token, all read at once without a cache, and the sum of logs."""
    numbers, rows = uniforms(seed, len(PROMPTS), 12), []
    read = np.zeros((len(PROMPTS), 13), "int32")  # all at its own place from the left; what comes later is not read
    for row, (prompt, tokens) in enumerate(zip(PROMPTS, written, strict=True)):
        read[row, : len(prompt) + len(tokens) - 1] = [*prompt, *tokens][:-1]
    given = {k: ops.convert_to_tensor(v) for k, v in WHERE.items()} if memory else {}
    logits = ops.convert_to_numpy(model(read, **given)).astype("float64")
    for row, (prompt, tokens) in enumerate(zip(PROMPTS, written, strict=True)):
        chosen, score = [], 0.0
        for place in range(len(prompt), len(prompt) + len(tokens)):
            now = logits[row, place - 1]
            log_p, seen = now - np.log(np.exp(now).sum()), np.isin(np.arange(N), [*prompt, *tokens][:place])
            factor = np.where(now > 0, 1 / strategy.repetition_penalty, strategy.repetition_penalty)
            now = np.where(seen, now * factor, now)
            order = np.argsort(-now)[: getattr(strategy, "top_k", 1) or N]
            p = np.exp((now[order] - now.max()) / getattr(strategy, "temperature", 1.0))
            p /= p.sum()
            p = p[p.cumsum() - p < (getattr(strategy, "top_p", None) or 1.0)]
            p = p[p >= (getattr(strategy, "min_p", None) or 0.0) * p[0]]
            drawn = np.searchsorted(p.cumsum(), numbers[row, place - len(prompt)] * p.sum(), side="right")
            chosen, score = [*chosen, int(order[drawn])], score + log_p[order[drawn]]
        rows.append((chosen, score))
    return [chosen for chosen, _ in rows], [score for _, score in rows]


@pytest.mark.parametrize(
    ("strategy", "memory"),
    [
        (Greedy(), False),
        (Sample(temperature=0.8, top_k=7, top_p=0.9, min_p=0.05, repetition_penalty=1.2), True),
    ],
    ids=["greedy", "sample"],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_token_is_what_reading_all_again_chooses(models, family, memory, strategy):
    model = models(family, memory)
    generated = generate(model, PROMPTS, max_tokens=9, strategy=strategy, seed=5, **(WHERE if memory else {}))
    tokens, scores = expected(model, strategy, generated.tokens, memory=memory, seed=5)
    assert generated.tokens == tokens
    assert [len(row) for row in tokens] == [9, 9, 9]
    np.testing.assert_allclose(generated.scores, scores, atol=1e-4)


def test_a_stop_token_ends_its_row_alone(models):
    model, strategy = models("transformer", True), Greedy(repetition_penalty=1.7)
    whole = generate(model, PROMPTS, max_tokens=9, strategy=strategy, stop=(10_000, 10_001), **WHERE)
    assert whole.why == ["length"] * 3  # of stop tokens that never come
    stops = (whole.tokens[1][2], 10_000)
    cut = generate(model, PROMPTS, max_tokens=9, strategy=strategy, stop=stops, **WHERE)
    for row, (before, after) in enumerate(zip(whole.tokens, cut.tokens, strict=True)):
        end = before.index(stops[0]) if stops[0] in before else 9
        assert after == before[:end]
        assert cut.why[row] == ("stop" if end < 9 else "length")
    assert cut.why[1] == "stop"
    shorter = generate(model, PROMPTS, max_tokens=len(cut.tokens[1]) + 1, strategy=strategy, **WHERE)
    assert cut.scores[1] == pytest.approx(shorter.scores[1], abs=1e-4)  # the stop token counts


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_a_stream_has_the_same_tokens(models, family):
    strategy, model = Sample(temperature=0.8, top_k=5, repetition_penalty=1.2), models(family, True)
    given = {"max_tokens": 9, "strategy": strategy, "seed": 5, **WHERE}
    stop = generate(model, PROMPTS, **given).tokens[1][4]
    steps = list(stream(model, PROMPTS, stop=stop, **given))
    whole = generate(model, PROMPTS, stop=stop, **given).tokens
    assert [[token for token in row if token is not None] for row in zip(*steps, strict=True)] == whole
    assert len(steps) == max(map(len, whole))
    assert min(map(len, whole)) < 9


def test_neither_other_rows_nor_the_limit_change_a_row(models):
    model, strategy = models("transformer", False), Sample()
    longest = generate(model, PROMPTS, max_tokens=12, strategy=strategy, seed=7)
    fewer = generate(model, PROMPTS[:2], max_tokens=12, strategy=strategy, seed=7)
    shorter = generate(model, PROMPTS, max_tokens=4, strategy=strategy, seed=7)
    assert fewer.tokens == longest.tokens[:2]
    assert shorter.tokens == [tokens[:4] for tokens in longest.tokens]
    assert generate(model, PROMPTS, max_tokens=12, strategy=strategy, seed=8).tokens != longest.tokens


@pytest.mark.parametrize("family", ["relative", "convolutional"])
def test_prompts_of_several_lengths_are_continued_as_each_alone(models, family):
    model = models(family, False)
    together = generate(model, PROMPTS, max_tokens=8)
    alone = [generate(model, [prompt], max_tokens=8) for prompt in PROMPTS]
    assert together.tokens == [generated.tokens[0] for generated in alone]
    np.testing.assert_allclose(together.scores, [generated.scores[0] for generated in alone], atol=1e-4)


def test_without_a_seed_keras_decides(models):
    def drawn():
        return generate(models("transformer", False), PROMPTS, max_tokens=12, strategy=Sample()).tokens

    keras.utils.set_random_seed(1)
    first, second = drawn(), drawn()
    keras.utils.set_random_seed(1)
    assert drawn() == first != second


def test_one_program_serves_a_bucket_of_lengths_and_all_numbers(monkeypatch):
    model, traced = make("transformer"), []
    call = type(model).call
    monkeypatch.setattr(type(model), "call", lambda self, *a, **k: (traced.append(1), call(self, *a, **k))[1])
    counts = []
    for prompt, max_tokens, temperature in (([3, 4], 12, 1.0), ([5, 6, 7], 10, 0.5), ([1] * 9, 9, 2.0)):
        generate(model, [prompt], max_tokens=max_tokens, strategy=Sample(temperature=temperature), stop=2, seed=0)
        counts.append(len(traced))
    if keras.backend.backend() != "torch":  # which compiles nothing
        assert counts[0] == counts[2]


@pytest.mark.parametrize("strategy", [Sample(top_k=5), Beam(3)])
def test_many_tokens_are_written_by_another_program_with_the_same_results(models, strategy, monkeypatch):
    model = models("transformer", True)
    options = {"max_tokens": 6, "strategy": strategy, "stop": 2, "seed": 1, **WHERE}
    expected = generate(model, PROMPTS, **options)
    asked = []
    compile_as_it_is = generation.compiled
    monkeypatch.setattr(generation, "_LARGE", 1)
    monkeypatch.setattr(
        generation, "compiled", lambda *args, xla: asked.append(xla) or compile_as_it_is(*args, xla=xla)
    )
    found = generate(model, PROMPTS, **options)
    assert asked == [True]
    assert (found.tokens, found.why) == (expected.tokens, expected.why)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)


def test_weights_are_read_in_each_call_and_a_program_keeps_no_model_alive():
    model = make("transformer")
    before = generate(model, PROMPTS, max_tokens=4).tokens
    for weight in model.trainable_weights:
        weight.assign(-weight)
    assert generate(model, PROMPTS, max_tokens=4).tokens != before
    held = weakref.ref(model)
    del model, weight
    gc.collect()
    assert held() is None


def test_compiled_takes_any_structure_of_tensors():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    function = compiled(layer, lambda layer, x, more: layer(x["a"]) + more[0])
    x = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    result = function({"a": ops.convert_to_tensor(x)}, (ops.convert_to_tensor(1.0),))
    np.testing.assert_allclose(ops.convert_to_numpy(result), x @ ops.convert_to_numpy(layer.kernel) + 1, atol=1e-5)


def test_nothing_to_write_is_written(models):
    model = models("transformer", False)
    assert generate(model, [], max_tokens=3).tokens == []
    assert generate(model, PROMPTS, max_tokens=0).tokens == [[], [], []]
    assert generate(model, PROMPTS, max_tokens=0).why == ["length"] * 3
    assert list(stream(model, [], max_tokens=3)) == list(stream(model, PROMPTS, max_tokens=0)) == []


def test_a_table_of_positions_is_used_to_its_end_and_not_beyond(models):
    model = models("learned positions", False)  # of 13; the last token written is never read
    assert len(generate(model, [[2] * 5], max_tokens=9).tokens[0]) == 9
    with pytest.raises(ValueError, match=r"at most 13 positions.*a prompt of 5 tokens and max_tokens=10"):
        generate(model, [[2] * 5, [3]], max_tokens=10)
    with pytest.raises(ValueError, match=r"a prompt of 14 tokens and max_tokens=1"):
        generate(model, [[2] * 14], max_tokens=1)


def test_logits_that_are_no_numbers_are_refused():
    model = make("transformer")
    model.embedding.table.assign(np.full(model.embedding.table.shape, np.nan))
    for strategy in (Greedy(), Beam(2)):
        with pytest.raises(ValueError, match=r"logits that are numbers\. Received: NaN"):
            generate(model, PROMPTS, max_tokens=3, strategy=strategy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": [[3], []]}, r"one token at least.*prompts\[1\]=\[\]"),
        ({"prompts": [[0.5]]}, r"integer from 0 on. Received: prompts\[0\]=\[0.5\]"),
        ({"prompts": [[3, -1]]}, r"prompts\[0\]=\[3, -1\]"),
        ({"max_tokens": -1}, "max_tokens of at least 0. Received: max_tokens=-1"),
        ({"memory": MEMORY[:2]}, r"3 prompts and a memory of shape \(2, 5, 12\)"),
        ({"strategy": Beam(18)}, "at most the vocabulary's 17. Received: size=18"),
    ],
)
def test_impossible_arguments_are_refused(models, arguments, message):
    model = models("transformer", "memory" in arguments)
    with pytest.raises(ValueError, match=message):
        generate(model, **{"prompts": PROMPTS, "max_tokens": 3, **arguments})


def test_a_stream_knows_no_beam(models):
    with pytest.raises(ValueError, match=r"token after token. Received: strategy=Beam\(size=2"):
        next(stream(models("transformer", False), PROMPTS, max_tokens=3, strategy=Beam(2)))


def test_buckets_are_few_and_near():
    lengths = np.arange(1, 5000)
    buckets = np.array([bucket(int(n)) for n in lengths])
    assert bucket(0) == 0
    assert (buckets >= lengths).all()
    assert (buckets <= np.maximum(8, 1.5 * lengths)).all()
    assert len(set(buckets)) < 25


def test_prompts_are_padded_with_a_token_of_their_own():
    padded = pad_prompts([[3, 4], [5, 6, 7]])
    assert padded["tokens"].tolist() == [[3] * 8 + [4], [5] * 7 + [6, 7]]
    assert padded["mask"].sum(axis=1).tolist() == padded["lengths"].tolist() == [2, 3]
    assert padded["mask"][:, -2:].all()
