"""What every attention variant promises: masks, modes, cache, types; and equality where it is exact."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.additive import AdditiveAttention
from suite.layers.attention import MultiHeadAttention
from suite.layers.capture import capture_attention
from suite.layers.chunked import ChunkedAttention
from suite.layers.fused import FusedAttention
from suite.layers.linear import LinearAttention
from suite.layers.local import LocalAttention
from suite.layers.relative import RelativeAttention
from suite.layers.talking_heads import TalkingHeadsAttention

B, T, S, D, H, W, WINDOW = 2, 13, 11, 22, 2, 6, 3  # batch, queries, keys, width, heads, head width, window

VARIANTS = {
    "additive": (AdditiveAttention, {}),
    "chunked": (ChunkedAttention, {"chunk": 7}),
    "chunked_window": (ChunkedAttention, {"chunk": 7, "window": WINDOW}),
    "fused": (FusedAttention, {}),
    "fused_window": (FusedAttention, {"window": WINDOW}),
    "linear": (LinearAttention, {}),
    "local": (LocalAttention, {"window": WINDOW}),
    "relative": (RelativeAttention, {}),
    "relative_plain": (RelativeAttention, {"project": False, "scale": 1.0, "window": WINDOW}),
    "talking_heads": (TalkingHeadsAttention, {}),
}
EXACT = ["chunked", "chunked_window", "fused", "fused_window", "local"]
WINDOWED = [name for name, (_, options) in VARIANTS.items() if "window" in options]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(13)


@pytest.fixture
def rng():
    return np.random.default_rng(17)


@pytest.fixture
def x(rng):
    return rng.normal(size=(B, T, D)).astype("float32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


def variant(name: str, **options):
    cls, own = VARIANTS[name]
    return cls(H, **{"head_width": W, **own, **options})


def randomize(layer, rng) -> None:
    """Away from zeros and identities."""
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.4))


def pair_of(name: str, rng, *shapes, **options):
    """A variant and plain attention of the same weights."""
    ours = variant(name, **options)
    window = {"window": ours.window}
    plain = MultiHeadAttention(H, **{"head_width": W, **window, **options})
    for layer in (ours, plain):
        layer.build(*shapes)
    randomize(ours, rng)
    plain.set_weights(ours.get_weights()[: len(plain.get_weights())])
    return ours, plain


def gradients(layer, x: np.ndarray, **call) -> tuple[float, list[np.ndarray]]:
    """A loss of the output, and its gradients by the input and by the weights."""
    factor = np.random.default_rng(3).normal(size=x.shape).astype("float32")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            x = tf.convert_to_tensor(x)
            tape.watch(x)
            loss = ops.sum(layer(x, **call) * factor)
        found = tape.gradient(loss, [x, *(w.value for w in layer.trainable_variables)])
    elif backend == "jax":
        import jax

        rest = [w.value for w in layer.non_trainable_variables]

        def run(x, weights):
            return ops.sum(layer.stateless_call(weights, rest, x, **call)[0] * factor)

        loss, (by_x, by_weights) = jax.value_and_grad(run, (0, 1))(x, [w.value for w in layer.trainable_variables])
        found = [by_x, *by_weights]
    else:
        import torch

        x = torch.tensor(x, requires_grad=True)
        loss = ops.sum(layer(x, **call) * torch.tensor(factor))
        found = torch.autograd.grad(loss, [x, *(w.value for w in layer.trainable_variables)], allow_unused=True)
    return float(numpy(loss)), [np.zeros(1) if g is None else numpy(ops.convert_to_tensor(g)) for g in found]


def packed(rng) -> dict[str, np.ndarray]:
    """Two sequences in each row, of lengths that differ from row to row."""
    ends = np.array([[6], [9]])
    first = np.arange(T) < ends
    positions = np.where(first, np.arange(T), np.arange(T) - ends)
    return {"positions": positions.astype("int32"), "pair_mask": first[:, :, None] == first[:, None, :]}


CALLS = {
    "nothing": lambda rng: {},
    "causal": lambda rng: {"causal": True},
    "mask": lambda rng: {"mask": np.arange(T) < [[T], [4]]},
    "left_padding": lambda rng: {"mask": np.arange(T) >= [[0], [9]], "causal": True},
    "key_mask": lambda rng: {"key_mask": rng.random((B, T)) < 0.7},
    "pair": lambda rng: {"pair_mask": rng.random((T, T)) < 0.6},
    "pair_of_rows": lambda rng: {"pair_mask": rng.random((B, T, T)) < 0.6, "causal": True},
    "pair_of_heads": lambda rng: {"pair_mask": rng.random((B, H, T, T)) < 0.6},
    "bias": lambda rng: {"bias": rng.normal(size=(B, H, T, T)).astype("float32"), "mask": np.arange(T) < [[T], [4]]},
    "bias_of_heads": lambda rng: {"bias": rng.normal(size=(H, T, T)).astype("float32"), "causal": True},
    "bias_of_queries": lambda rng: {"bias": rng.normal(size=(H, T, 1)).astype("float32")},
    "bias_that_closes": lambda rng: {"bias": np.where(rng.random((T, T)) < 0.6, 0, -np.inf).astype("float32")},
    "positions": lambda rng: {"positions": np.cumsum(rng.integers(1, 3, (B, T)), 1).astype("int32"), "causal": True},
    "packed": lambda rng: packed(rng),
    "packed_causal": lambda rng: {**packed(rng), "causal": True, "mask": np.arange(T) < [[T], [11]]},
}
PAIRS = [(name, call) for name in ("fused", "local") for call in CALLS]
PAIRS += [("chunked", call) for call in CALLS if call != "bias_of_queries"]
PAIRS += [(f"{name}_window", call) for name in ("chunked", "fused") for call in ("left_padding", "positions", "packed")]
OPTIONS = {
    "grouped": lambda: {"kv_heads": 1, "value_width": 7},
    "normed": lambda: {"query_key_norm": True, "scale": 0.3},
    "rotary": lambda: {"position": layers.Rotary()},
    "soft_cap": lambda: {"soft_cap": 2.0},
    "relative_bias": lambda: {"position": layers.RelativeBias(buckets=8, max_distance=9)},
}


@pytest.mark.parametrize(("name", "call"), PAIRS)
def test_an_exact_variant_equals_plain_attention_under_any_mask(name, call, rng, x):
    call = CALLS[call](rng)
    ours, plain = pair_of(name, rng, x.shape, position=layers.RelativeBias(buckets=8, max_distance=9))
    np.testing.assert_allclose(numpy(ours(x, **call)), numpy(plain(x, **call)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["chunked", "fused", "local"])
def test_an_exact_variant_has_the_gradients_of_plain_attention(name, option, rng, x):
    ours, plain = pair_of(name, rng, x.shape, **OPTIONS[option]())
    call = {"mask": np.arange(T) < [[T], [0]], "bias": rng.normal(size=(H, T, T)).astype("float32"), "causal": True}
    (loss, found), (expected_loss, expected) = gradients(ours, x, **call), gradients(plain, x, **call)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-4)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["chunked", "local"])
def test_a_bias_that_is_learned_elsewhere_gets_its_gradient(name, rng, x):
    class Biased(keras.layers.Layer):
        def __init__(self, attention):
            super().__init__()
            self.attention = attention

        def build(self, shape):
            if not self.attention.built:
                self.attention.build(shape)
            self.bias = self.add_weight(shape=(H, T, T), initializer="ones")

        def call(self, inputs):
            return self.attention(inputs, bias=ops.sin(self.bias))

    ours, plain = (Biased(attention) for attention in pair_of(name, rng, x.shape))
    for layer in (ours, plain):
        layer(x)
    for one, other in zip(gradients(ours, x)[1], gradients(plain, x)[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", EXACT)
def test_an_exact_variant_equals_plain_attention_on_a_memory(name, causal, rng, x):
    key, value = (rng.normal(size=(B, S, n)).astype("float32") for n in (5, 7))
    ours, plain = pair_of(name, rng, x.shape, key.shape, value.shape)
    call = {"mask": np.arange(T) < [[T], [4]], "key_mask": np.arange(S) < [[3], [S]], "causal": causal}
    np.testing.assert_allclose(numpy(ours(x, key, value, **call)), numpy(plain(x, key, value, **call)), atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_query_with_nothing_to_read_gives_exactly_zero(name, policy, rng, x):
    layer = variant(name, use_bias=False, dtype=policy)
    layer.build(x.shape)
    mask = np.array([[1] * T, [0] * T], bool)
    mask[0, :2] = False
    for causal in (False, True):
        output, weights = layer(100 * x, mask=mask, causal=causal, return_weights=True)
        silent = [numpy(output)[1], numpy(output)[0, :2], numpy(weights)[1], numpy(weights)[0, :, :2]]
        silent.append(numpy(layer(100 * x, mask=mask, causal=causal))[1])
        assert all(np.all(part == 0) for part in silent)
        assert np.all(np.isfinite(numpy(output)))
        assert np.abs(numpy(output)[0, 2:]).max() > 0


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_can_be_had_and_captured(name, rng, x):
    layer = variant(name)
    layer.build(x.shape)
    randomize(layer, rng)
    call = {"mask": np.arange(T) < [[T], [4]], "causal": True}
    output, weights = layer(x, return_weights=True, **call)
    assert tuple(weights.shape) == (B, H, T, T)
    np.testing.assert_allclose(numpy(output), numpy(layer(x, **call)), atol=1e-5)
    (captured,) = capture_attention(layer, x, **call).values()
    np.testing.assert_allclose(captured, numpy(weights), atol=1e-6)
    value = layer.value_projection(x)
    value = numpy(value).reshape(B, T, H, W).transpose(0, 2, 1, 3)
    context = (numpy(weights) @ value).transpose(0, 2, 1, 3).reshape(B, T, H * W)
    np.testing.assert_allclose(numpy(output), numpy(layer.output_projection(context)), atol=1e-5)
    if name != "talking_heads":
        np.testing.assert_allclose(numpy(weights)[0].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2, T])
@pytest.mark.parametrize("rolling", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_cached_equals_uncached(name, rolling, step, rng, x):
    if rolling and name not in WINDOWED:
        pytest.skip("a rolling cache needs a window")
    layer = variant(name, kv_heads=1, value_width=5)
    layer.build(x.shape)
    randomize(layer, rng)
    mask = np.arange(T) >= [[0], [3]]
    cache, outputs = layer.make_cache(B, WINDOW if rolling else T + 2, rolling=rolling), []
    for start in range(0, T, step):
        now = slice(start, start + step)
        output, cache = layer(x[:, now], mask=mask[:, now], causal=True, cache=cache)
        outputs.append(numpy(output))
    np.testing.assert_allclose(np.concatenate(outputs, 1), numpy(layer(x, mask=mask, causal=True)), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", VARIANTS)
def test_half_precision_stays_near_single_precision(name, policy, x):
    single, half = variant(name), variant(name, dtype=policy)
    expected = single(x, causal=True)
    half.build(x.shape)
    half.set_weights(single.get_weights())
    output = half(x, causal=True)
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_allclose(numpy(output), numpy(expected), atol=0.1, rtol=0.1)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_saved_model_of_unknown_lengths_gives_the_same_compiled_and_eager(name, rng, x, tmp_path):
    inputs, mask = keras.Input((None, D)), keras.Input((None,), dtype="bool")
    layer = variant(name, kv_heads=1, value_width=7)
    outputs = layer(inputs, mask=mask, causal=True)
    assert outputs.shape == (None, None, D)
    model = keras.Model([inputs, mask], outputs)
    randomize(model, rng)
    real = np.arange(T) < [[T], [4]]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = numpy(layer(x, mask=real, causal=True))
    loaded.compile(jit_compile=keras.backend.backend() == "jax")
    np.testing.assert_allclose(loaded.predict_on_batch([x, real]), expected, atol=1e-5)
    np.testing.assert_allclose(loaded.predict_on_batch([x[:, :4], real[:, :4]])[1], expected[1, :4], atol=1e-5)


@pytest.mark.parametrize("name", ["additive", "chunked", "linear", "local", "relative", "talking_heads"])
def test_every_weight_learns_in_a_compiled_step(name, rng, x):
    inputs = keras.Input((T, D))
    model = keras.Model(inputs, variant(name, dropout=0.3)(inputs, causal=True))
    before = {w.path: numpy(w) for w in model.trainable_weights}
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(x, rng.normal(size=x.shape).astype("float32"))
    still = [w.path for w in model.trainable_weights if np.allclose(before[w.path], numpy(w), atol=1e-7)]
    # The same for all scores of a query, which softmax cancels.
    assert [path for path in still if not path.endswith("key/bias")] == []


@pytest.mark.parametrize("name", VARIANTS)
def test_dropout_counts_in_training_alone(name, x):
    layer = variant(name, dropout=0.3)
    plain = numpy(layer(x))
    np.testing.assert_array_equal(numpy(layer(x, training=False)), plain)
    trained = np.stack([numpy(layer(x, training=True)) for _ in range(12)])
    assert trained.std(0).mean() > 0.02
    np.testing.assert_allclose(trained.mean(0), plain, atol=8 * trained.std(0).max() / np.sqrt(12))
    undropped = variant(name)
    np.testing.assert_array_equal(numpy(undropped(x, training=True)), numpy(undropped(x)))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_configuration_holds_every_argument(name):
    cls, own = VARIANTS[name]
    layer = variant(name, kv_heads=1, value_width=7, dropout=0.1, use_bias=False, query_key_norm=True)
    config = layer.get_config()
    arguments = {*inspect.signature(cls.__init__).parameters, *inspect.signature(MultiHeadAttention).parameters}
    assert arguments - {"self", "kwargs"} <= set(config)
    assert {key: config[key] for key in own} == own
    assert cls.from_config(config).get_config() == config


@pytest.mark.parametrize("name", VARIANTS)
def test_it_works_inside_a_block(name, x):
    mask = np.arange(T) < [[T], [4]]
    block = layers.EncoderBlock(variant(name), feed_forward=5)
    changed = np.where(mask[..., None], x, 50.0).astype("float32")
    np.testing.assert_allclose(numpy(block(x, mask=mask))[mask], numpy(block(changed, mask=mask))[mask], atol=1e-5)
