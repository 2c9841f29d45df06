"""Recurrent and convolutional decoders: causal, the same with a cache, with padding anywhere, and after saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers

B, T, S, D, N = 2, 7, 5, 6, 11
X = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
MEMORY = np.random.default_rng(1).normal(size=(B, S, D)).astype("float32")
MEMORY_MASK = np.arange(S) < [[S], [2]]
MASKS = {
    "whole": None,
    "left": np.arange(T) >= [[0], [3]],
    "right": np.arange(T) < [[T], [4]],
    "gaps": np.array([[1] * T, [1, 1, 0, 1, 0, 0, 1]], bool),
}
DECODERS = {
    "lstm": lambda **k: layers.RecurrentDecoder(2, **k),
    "gru": lambda **k: layers.RecurrentDecoder(2, cell="GRU", **k),
    "convolution": lambda **k: layers.ConvolutionalDecoder(
        3, layers.ConvolutionalDecoderBlock(3, **k), dilations=(1, 2), position=layers.Sinusoidal()
    ),
}
ATTENTION = {
    "alone": dict,
    "dot": lambda: {"cross_attention": 2},
    "additive": lambda: {"cross_attention": layers.AdditiveAttention(1)},
}


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def make(name: str, attention: str) -> tuple[keras.layers.Layer, dict]:
    """A built decoder, and the memory that its calls need."""
    keras.utils.set_random_seed(3)
    decoder = DECODERS[name](**ATTENTION[attention]())
    decoder.build((None, None, D), None if attention == "alone" else (None, None, D))
    for i, weight in enumerate(decoder.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    return decoder, {} if attention == "alone" else {"memory": MEMORY, "memory_mask": MEMORY_MASK}


PAIRS = pytest.mark.parametrize(
    ("name", "attention"),
    [("lstm", "alone"), ("lstm", "dot"), ("gru", "additive"), ("convolution", "alone"), ("convolution", "additive")],
)


@PAIRS
def test_no_position_reads_a_later_one(name, attention):
    decoder, given = make(name, attention)
    changed = X.copy()
    changed[:, 4:] = X[:, 4:, ::-1]
    before, after = numpy(decoder(X, **given)), numpy(decoder(changed, **given))
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-6)
    assert (np.abs(after - before)[:, 4:].max(axis=(0, 2)) > 1e-3).all()


@pytest.mark.parametrize("mask", MASKS)
@PAIRS
def test_steps_with_a_cache_equal_the_whole(name, attention, mask):
    decoder, given = make(name, attention)
    mask = MASKS[mask]
    masks = {} if mask is None else {"mask": mask}
    whole = numpy(decoder(X, **masks, **given))
    for sizes in ((3, 1, 1, 2), (T,)):
        cache, parts, start = decoder.make_cache(B, T, **given), [], 0
        for size in sizes:
            part = slice(start, start + size)
            y, cache = decoder(X[:, part], cache=cache, **{k: m[:, part] for k, m in masks.items()})
            parts.append(numpy(y))
            start += size
        real = ... if mask is None else mask
        np.testing.assert_allclose(np.concatenate(parts, axis=1)[real], whole[real], atol=1e-5)
        assert int(cache[0].length) == T


@PAIRS
def test_padding_on_either_side_changes_nothing(name, attention):
    decoder, given = make(name, attention)
    alone = numpy(decoder(X[1:, 3:], **{k: v[1:] for k, v in given.items()}))[0]
    positions = np.maximum(np.arange(T) - [[0], [3]], 0)
    filled = np.where(MASKS["left"][..., None], X, 50).astype("float32")
    left = numpy(decoder(filled, mask=MASKS["left"], positions=positions, **given))
    np.testing.assert_allclose(left[1, 3:], alone, atol=1e-5)
    right = numpy(decoder(np.roll(filled, -3, axis=1), mask=MASKS["right"], **given))
    np.testing.assert_allclose(right[1, :4], alone, atol=1e-5)


@PAIRS
def test_a_cache_gives_rows_in_any_order(name, attention):
    decoder, given = make(name, attention)
    rows = np.array([1, 0, 1])
    _, cache = decoder(X[:, :4], cache=decoder.make_cache(B, T, **given))
    taken, _ = decoder(X[rows, 4:], cache=tuple(part.take(rows) for part in cache))
    expected, _ = decoder(X[:, 4:], cache=cache)
    np.testing.assert_allclose(numpy(taken), numpy(expected)[rows], atol=1e-5)
    kept = tuple(part.take(rows[:B], memory=False) for part in cache)
    assert all(a.memory is b.memory for a, b in zip(kept, cache, strict=True))


@pytest.mark.parametrize("name", ["lstm", "convolution"])
def test_a_saved_translator_gives_the_same_logits(name, tmp_path):
    keras.utils.set_random_seed(3)
    encoder = layers.Encoder(1, layers.EncoderBlock(2, feed_forward=7))
    decoder = DECODERS[name](cross_attention=layers.AdditiveAttention(1))
    layer = layers.EncoderDecoder(layers.TokenEmbedding(N, width=D), encoder, decoder)
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    model = keras.Model([source, target], layer(source, target))
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    arrays = [np.arange(2 * S).reshape(2, S) % N, np.arange(2 * T).reshape(2, T) % N]
    np.testing.assert_array_equal(loaded.predict_on_batch(arrays), model.predict_on_batch(arrays))
    assert loaded.count_params() == model.count_params()


def test_a_recurrent_decoder_is_kerass_layer_and_luongs_attention():
    decoder, given = make("lstm", "dot")
    x = X
    for number, layer in enumerate(decoder.recurrent):
        x = numpy(layer(x)) + (x if number else 0)
    context = numpy(decoder.cross_attention(x, MEMORY, key_mask=MEMORY_MASK))
    kernel, bias = (numpy(weight) for weight in decoder.merge.weights)
    expected = np.tanh(np.concatenate([x, context], axis=-1) @ kernel + bias)
    np.testing.assert_allclose(numpy(decoder(X, **given)), expected, atol=1e-5)


def test_a_convolutional_block_is_its_formula():
    keras.utils.set_random_seed(3)
    block = layers.ConvolutionalDecoderBlock(3, dilation=2)
    found = numpy(block(X))
    normed = (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-6)
    padded = np.pad(normed, ((0, 0), (4, 0), (0, 0)))
    kernel, bias = (numpy(weight) for weight in block.filters.weights)
    both = sum(padded[:, 2 * j : 2 * j + T] @ kernel[j] for j in range(3)) + bias
    np.testing.assert_allclose(found, X + both[..., :D] / (1 + np.exp(-both[..., D:])), atol=1e-5)


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: layers.RecurrentDecoder(0), "depth of at least 1. Received: depth=0"),
        (lambda: layers.RecurrentDecoder(1, cell="lstm"), "one of .'LSTM', 'GRU'.. Received: cell='lstm'"),
        (lambda: layers.RecurrentDecoder(1)(X, MEMORY), "one memory where.*memory from an argument"),
        (lambda: layers.RecurrentDecoder(1).make_cache(B, T), "built before a cache is made"),
        (lambda: layers.ConvolutionalDecoderBlock(1), "kernel of at least 2. Received: kernel=1"),
        (lambda: layers.ConvolutionalDecoderBlock(dilation=0), "dilation of at least 1. Received: dilation=0"),
        (lambda: make("convolution", "dot")[0](X), "one memory where.*memory from nowhere"),
        (
            lambda: layers.ConvolutionalDecoder(2, layers.ConvolutionalDecoderBlock(), dilations=()),
            r"expects dilations.*Received: dilations=\(\)",
        ),
        (
            lambda: layers.ConvolutionalDecoder(2, layers.ConvolutionalDecoderBlock(), position=layers.Rotary()),
            "added to embeddings.*position=<Rotary",
        ),
    ],
)
def test_impossible_arguments_are_refused(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()
