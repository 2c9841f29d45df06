"""A step with a cache gives what the whole sequence gives, in loops too, and a cache that is too short says so."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers

B, T, D = 2, 7, 12
STEPS = {"one by one": (1,) * T, "prompt first": (3, 1, 1, 2), "at once": (T,)}
LAYERS = {
    "plain": {},
    "grouped": {"kv_heads": 1, "value_width": 5},
    "normed and capped": {"query_key_norm": True, "soft_cap": 2.0, "position": "Rotary"},
    "rotary": {"position": "Rotary"},
    "relative": {"position": "RelativeBias"},
    "window": {"window": 3, "position": "Rotary"},
}
MASKS = {
    "whole": None,
    "left padding": np.arange(T) >= [[0], [3]],
    "gaps": np.array([[1] * T, [1, 1, 0, 1, 0, 0, 1]], bool),
}


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")


def make(name: str, **options) -> layers.MultiHeadAttention:
    keras.utils.set_random_seed(5)
    options = {**LAYERS[name], **options}
    if "position" in options:
        options["position"] = getattr(layers, options["position"])()
    layer = layers.MultiHeadAttention(3, **options)
    layer.build((B, T, D))
    for weight in layer.trainable_weights:
        # Larger ones make scores of tens, whose rounding the softmax turns into errors as large as what is looked for.
        weight.assign(np.random.default_rng(len(weight.path)).normal(scale=0.5, size=weight.shape))
    return layer


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def stepwise(layer, cache, x, steps, **masks):
    outputs, start = [], 0
    for n in steps:
        part = {k: m[:, start : start + n] for k, m in masks.items() if m is not None}
        output, cache = layer(x[:, start : start + n], causal=True, cache=cache, **part)
        outputs.append(numpy(output))
        start += n
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("name", LAYERS)
def test_steps_with_a_cache_equal_the_whole(x, name, mask, steps):
    layer = make(name)
    whole = numpy(layer(x, causal=True, mask=mask))
    np.testing.assert_allclose(stepwise(layer, layer.make_cache(B, T + 2), x, steps, mask=mask), whole, atol=2e-5)


@pytest.mark.parametrize("positions", [None, np.array([[0, 1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 2, 2, 3]])])
@pytest.mark.parametrize(("mask", "steps"), itertools.product(MASKS.values(), STEPS.values()))
def test_a_rolling_cache_of_window_minus_one_slots_is_enough(x, mask, steps, positions):
    if positions is not None and mask is not MASKS["gaps"]:
        positions = np.broadcast_to(np.arange(T), (B, T))  # the second row's stand for its gaps
    layer = make("window")
    whole = numpy(layer(x, causal=True, mask=mask, positions=positions))
    cache = layer.make_cache(B, 2, rolling=True)
    real = np.ones((B, T), bool) if mask is None else mask
    rolled = stepwise(layer, cache, x, steps, mask=mask, positions=positions)
    np.testing.assert_allclose(rolled[real], whole[real], atol=2e-5)


def test_the_memory_of_cross_attention_is_projected_once(x):
    layer = make("rotary")
    memory = np.random.default_rng(1).normal(size=(B, 5, D)).astype("float32")
    key_mask = np.arange(5) < [[5], [2]]
    cache = layer.memory_cache(memory, mask=key_mask)
    kept = layer.key_projection.kernel
    output, weights, same = layer(x, cache=cache, return_weights=True)
    expected, expected_weights = layer(x, memory, key_mask=key_mask, return_weights=True)
    np.testing.assert_allclose(numpy(output), numpy(expected), atol=1e-5)
    np.testing.assert_allclose(numpy(weights), numpy(expected_weights), atol=1e-6)
    kept.assign(np.zeros(kept.shape))
    np.testing.assert_allclose(numpy(layer(x, cache=same)[0]), numpy(expected), atol=1e-5)


def jitted(function):
    """The function as its backend compiles it."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def loop(layer, length, **options):
    """Reads a sequence token by token in one compiled loop."""

    def run(x):
        def step(i, cache, outputs):
            token = ops.take(x, ops.reshape(i, (1,)), axis=1)  # (B, 1, D)
            output, cache = layer(token, causal=True, cache=cache)
            return i + 1, cache, ops.slice_update(outputs, (0, i, 0), output)

        start = (ops.zeros((), "int32"), layer.make_cache(B, length, **options), ops.zeros((B, T, D)))
        return ops.while_loop(lambda i, *_: i < T, step, start)[2]

    return jitted(run)


@pytest.mark.parametrize("rolling", [False, True])
def test_a_cache_passes_through_a_compiled_loop(x, rolling):
    layer = make("window")
    output = loop(layer, 2 if rolling else T, rolling=rolling)(ops.convert_to_tensor(x))
    np.testing.assert_allclose(numpy(output), numpy(layer(x, causal=True)), atol=2e-5)


def test_more_tokens_than_slots_are_an_error_and_never_wrap(x):
    layer = make("plain")
    with pytest.raises(ValueError, match="Received: 3 slots, 0 of them filled, and 7 new tokens"):
        layer(x, cache=layer.make_cache(B, 3))
    _, cache = layer(x[:, :3], cache=layer.make_cache(B, 4))
    with pytest.raises(ValueError, match="Received: 4 slots, 3 of them filled, and 2 new tokens"):
        layer(x[:, :2], cache=cache)
    if keras.backend.backend() == "torch":  # which knows the length inside a loop, too
        with pytest.raises(ValueError, match="Received: 5 slots, 5 of them filled, and 1 new tokens"):
            loop(layer, 5)(ops.convert_to_tensor(x))
    else:
        output = numpy(loop(layer, 5)(ops.convert_to_tensor(x)))
        assert np.isfinite(output[:, :5]).all()
        assert np.isnan(output[:, 5:]).all()


def test_a_cache_keeps_its_type_in_half_precision(x):
    layer = make("rotary", dtype="mixed_bfloat16")
    cache = layer.make_cache(B, T)
    _, after = layer(x, causal=True, cache=cache)
    for held in (cache, after):
        assert keras.backend.standardize_dtype(held.key.dtype) == "bfloat16"
        assert keras.backend.standardize_dtype(held.positions.dtype) == "int32"


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: make("plain").make_cache(B, 0), "length of at least 1. Received: length=0"),
        (lambda: layers.MultiHeadAttention(2).make_cache(B, 3), "built before a cache is made"),
        (lambda: make("plain").make_cache(B, 5, rolling=True), "Received: 5 slots, window=None"),
        (
            lambda: make("window").make_cache(B, 1, rolling=True),
            "at least window - 1 slots. Received: 1 slots, window=3",
        ),
        (
            lambda: make("plain")(np.ones((B, T, D)), np.ones((B, T, D)), cache=make("plain").make_cache(B, T)),
            r"a cache or a key, not both. Received: key of shape \(2, 7, 12\)",
        ),
    ],
)
def test_a_cache_that_does_not_fit_is_refused(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()
