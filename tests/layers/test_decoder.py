"""A decoder block is causal, reads its memory, and gives with a cache what it gives without."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.decoder import DecoderBlock

B, T, S, D, M = 2, 7, 5, 12, 9  # batch, tokens, memory, width, width of the memory
BLOCKS = {
    "plain": {"attention": 3},
    "cross": {"attention": 3, "cross_attention": 2, "placement": "post"},
    "sandwich": {"attention": 3, "cross_attention": 2, "placement": "sandwich", "norm": "rms", "layer_scale": 0.5},
    "parallel": {"attention": 3, "cross_attention": 2, "parallel": True},
    "window": {"attention": lambda: layers.MultiHeadAttention(3, window=3, position=layers.Rotary())},
}
MEMORY_MASK = np.arange(S) < [[S], [2]]


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")


@pytest.fixture
def memory():
    return np.random.default_rng(1).normal(size=(B, S, M)).astype("float32")


def make(name: str) -> DecoderBlock:
    keras.utils.set_random_seed(5)
    options = {k: v() if callable(v) else v for k, v in BLOCKS[name].items()}
    block = DecoderBlock(feed_forward=11, **options)
    block.build((B, T, D), (B, S, M))
    for weight in block.trainable_weights:
        weight.assign(np.random.default_rng(len(weight.path)).normal(size=weight.shape))
    return block


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def test_a_block_is_self_attention_then_cross_attention_then_feed_forward(x, memory):
    block = make("cross")
    output = numpy(block(x, memory, memory_mask=MEMORY_MASK))
    first, second, third = block.residuals
    middle = numpy(first.leave(x, block.attention(first.enter(x), causal=True)))
    crossed = block.cross_attention(second.enter(middle), memory, key_mask=MEMORY_MASK)
    middle = numpy(second.leave(middle, crossed))
    expected = third.leave(middle, block.feed_forward(third.enter(middle)))
    np.testing.assert_allclose(output, numpy(expected), atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_nothing_leaks_from_the_future(x, memory, name):
    block, arguments = make(name), (memory,) if "cross_attention" in BLOCKS[name] else ()
    before = numpy(block(x, *arguments))
    x[:, 4:] = 3 * x[:, 4:] + 1
    after = numpy(block(x, *arguments))
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-5)
    assert (np.abs(after - before)[:, 4:].max(-1) > 1e-3).all()


def test_content_under_the_padding_of_the_memory_is_not_read(x, memory):
    block = make("cross")
    before = numpy(block(x, memory, memory_mask=MEMORY_MASK))
    refilled = np.where(MEMORY_MASK[..., None], memory, 50).astype("float32")
    np.testing.assert_allclose(numpy(block(x, refilled, memory_mask=MEMORY_MASK)), before, atol=1e-5)


@pytest.mark.parametrize("mask", [None, np.arange(T) >= [[0], [3]]], ids=["whole", "left padding"])
@pytest.mark.parametrize(("name", "held"), [*((name, True) for name in BLOCKS), ("cross", False), ("parallel", False)])
def test_steps_with_a_cache_equal_the_whole(x, memory, name, mask, held):
    block = make(name)
    cross = {"memory": memory, "memory_mask": MEMORY_MASK} if "cross_attention" in BLOCKS[name] else {}
    whole = numpy(block(x, mask=mask, **cross))
    cache = block.make_cache(B, T + 1, **(cross if held else {}))
    outputs, start = [], 0
    for n in (4, 1, 2):
        part = None if mask is None else mask[:, start : start + n]
        output, cache = block(x[:, start : start + n], mask=part, cache=cache, **({} if held else cross))
        outputs.append(numpy(output))
        start += n
    assert int(cache.self_attention.length) == T
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), whole, atol=5e-5)


def test_a_rolling_cache_holds_the_window_alone(x):
    block = make("window")
    cache = block.make_cache(B, 2, rolling=True)
    outputs = []
    for part in (x[:, :4], x[:, 4:5], x[:, 5:]):
        output, cache = block(part, cache=cache)
        outputs.append(numpy(output))
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), numpy(block(x)), atol=5e-5)


@pytest.mark.parametrize("name", ["sandwich", "plain"])
def test_a_saved_block_gives_the_same_outputs(x, memory, name, tmp_path):
    inputs, read = keras.Input((None, D)), keras.Input((None, M))
    block = DecoderBlock(feed_forward=11, dropout=0.1, drop_path=0.2, **BLOCKS[name])
    model = keras.Model([inputs, read], block(inputs, read) if name == "sandwich" else block(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    arrays = [x, memory]
    np.testing.assert_array_equal(loaded.predict_on_batch(arrays), model.predict_on_batch(arrays))
    config = block.get_config()
    assert DecoderBlock.from_config(config).get_config() == config
    assert (config["cross_attention"] is None) == (name == "plain")


def test_a_memory_that_is_missing_or_has_no_place_is_refused(x, memory):
    cross, plain = make("cross"), make("plain")
    with pytest.raises(ValueError, match=r"one memory where it has a cross_attention.*memory from nowhere"):
        cross(x)
    with pytest.raises(ValueError, match="cross_attention=None, memory from an argument"):
        plain(x, memory)
    with pytest.raises(ValueError, match="memory from an argument and a cache"):
        cross(x, memory, cache=cross.make_cache(B, T, memory=memory))
    with pytest.raises(ValueError, match="cross_attention=None"):
        plain.make_cache(B, T, memory=memory)
    with pytest.raises(ValueError, match="memory from nowhere"):
        DecoderBlock(2, feed_forward=3, cross_attention=2).build((B, T, D))
