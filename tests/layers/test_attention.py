from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from suite import layers

B, T, S, H, W, D = 2, 5, 7, 3, 4, 11  # batch, queries, keys, heads, head width, width


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(13)


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def attention(**options) -> layers.MultiHeadAttention:
    return layers.MultiHeadAttention(H, head_width=W, **options)


def reference(layer, query, key, value, allowed, bias=0.0):
    """Attention in NumPy; `allowed` and `bias` broadcast to (B, H, T, S)."""

    def heads(dense, x, number):
        y = x @ numpy(dense.kernel) + (numpy(dense.bias) if dense.use_bias else 0)
        return np.repeat(y.reshape(*x.shape[:2], number, -1).transpose(0, 2, 1, 3), layer.heads // number, axis=1)

    def normed(x, side):
        norm = getattr(layer, f"{side}_norm", None)
        return x if norm is None else x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * numpy(norm.scale)

    q = normed(heads(layer.query_projection, query, layer.heads), "query")
    k = normed(heads(layer.key_projection, key, layer.kv_heads or layer.heads), "key")
    v = heads(layer.value_projection, value, layer.kv_heads or layer.heads)
    scores = q @ k.swapaxes(-1, -2) * (layer.scale or q.shape[-1] ** -0.5)
    scores = np.tanh(scores / layer.soft_cap) * layer.soft_cap if layer.soft_cap else scores
    weights = np.where(allowed, np.exp(scores + bias), 0)
    weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    context = (weights @ v).transpose(0, 2, 1, 3).reshape(*query.shape[:2], -1)
    output = layer.output_projection
    return context @ numpy(output.kernel) + (numpy(output.bias) if output.use_bias else 0), weights


OPTIONS = {
    "kv_heads": [1, 2, 6],
    "head_width": [1, 5],
    "value_width": [3],
    "use_bias": [False],
    "query_key_norm": [True],
    "scale": [0.3],
    "soft_cap": [1.5],
    "window": [1, 3],
}


@settings(max_examples=20, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in OPTIONS.items()}),
    st.sampled_from([(1, 1), (T, T), (T, S), (S, T)]),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_combination_of_options_equals_the_formula(options, lengths, causal, seed):
    rng = np.random.default_rng(seed)
    layer = layers.MultiHeadAttention(6, **options)
    query, key, value = (
        rng.normal(size=(B, n, d)).astype("float32") for n, d in zip((*lengths, lengths[1]), (12, D, 5), strict=True)
    )
    layer.build(query.shape, key.shape, value.shape)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)
    positions, key_positions = (np.sort(rng.integers(0, 9, size=(B, n))) for n in lengths)
    bias = rng.normal(size=(6, *lengths)).astype("float32")
    key_mask = rng.random((B, lengths[1])) < 0.8
    arguments = {"causal": causal, "key_mask": key_mask, "bias": bias}
    output, weights = layer(
        query, key, value, positions=positions, key_positions=key_positions, return_weights=True, **arguments
    )
    allowed = np.broadcast_to(key_mask[:, None, None], (B, 1, *lengths))
    allowed = allowed & (np.tri(*lengths, dtype=bool) if causal else True)
    near = np.abs(positions[:, :, None] - key_positions[:, None, :]) < options.get("window", 99)
    expected, expected_weights = reference(layer, query, key, value, allowed & near[:, None], bias)
    np.testing.assert_allclose(numpy(weights), expected_weights, atol=2e-5)
    np.testing.assert_allclose(numpy(output), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("position", [layers.Rotary, layers.RelativeBias])
def test_sequences_packed_into_one_row_are_as_they_are_alone(rng, position):
    x = rng.normal(size=(1, T + 3, D)).astype("float32")
    segments, positions = np.repeat([0, 1], [T, 3]), np.r_[0:T, 0:3]
    layer = attention(position=position(), window=3)
    layer.build(x.shape)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    together = segments[:, None] == segments[None, :]
    packed = numpy(layer(x, causal=True, pair_mask=together, positions=positions))
    for part in (slice(0, T), slice(T, T + 3)):
        np.testing.assert_allclose(packed[:, part], numpy(layer(x[:, part], causal=True)), atol=1e-5)


def test_causal_goes_by_the_order_of_storage_whatever_the_positions(rng):
    x = rng.normal(size=(1, T, D)).astype("float32")
    _, weights = attention()(x, causal=True, positions=np.array([4, 0, 3, 1, 2]), return_weights=True)
    assert np.all((numpy(weights) > 0) == np.tri(T, dtype=bool))


def test_it_equals_the_formula_with_every_mask_at_once(rng):
    query, key, value = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S, S))
    mask, key_mask = np.arange(T) < [[T], [3]], np.arange(S) < [[4], [S]]
    pair_mask = rng.random((B, T, S)) < 0.7
    layer = attention()
    output, weights = layer(
        query, key, value, mask=mask, key_mask=key_mask, pair_mask=pair_mask, causal=True, return_weights=True
    )
    causal = np.tri(T, S, dtype=bool)
    allowed = (mask[:, :, None] & key_mask[:, None, :] & pair_mask & causal)[:, None]
    expected, expected_weights = reference(layer, query, key, value, allowed)
    np.testing.assert_allclose(numpy(output), expected, atol=1e-5)
    np.testing.assert_allclose(numpy(weights), expected_weights, atol=1e-6)


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_a_pair_mask_may_be_shared_by_batch_and_heads(rng, rank):
    x = rng.normal(size=(B, T, D)).astype("float32")
    pair_mask = rng.random((B, H, T, T)[4 - rank :]) < 0.6
    if rank == 3:
        pair_mask = rng.random((B, T, T)) < 0.6
    _, weights = attention()(x, pair_mask=pair_mask, return_weights=True)
    full = np.broadcast_to(pair_mask[:, None] if rank == 3 else pair_mask, (B, H, T, T))
    assert np.array_equal(numpy(weights) > 0, full)


def test_it_equals_keras(rng):
    query, key, value = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S, S))
    allowed = rng.random((B, T, S)) < 0.7
    allowed[..., 0] = True  # Keras gives other weights than zero to a row without any
    theirs, ours = keras.layers.MultiHeadAttention(H, W), attention()
    theirs.build(query.shape, value.shape, key.shape)
    ours.build(query.shape, key.shape, value.shape)
    weights = [rng.normal(size=w.shape) for w in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights([w.reshape(o.shape) for w, o in zip(weights, ours.get_weights(), strict=True)])
    np.testing.assert_allclose(
        numpy(ours(query, key, value, pair_mask=allowed)),
        numpy(theirs(query, value, key, attention_mask=allowed)),
        atol=1e-5,
        rtol=1e-5,
    )


def test_causal_attention_does_not_see_what_follows(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    changed = x.copy()
    changed[:, 3:] += 10
    layer = attention(position=layers.Rotary())
    np.testing.assert_allclose(
        numpy(layer(x, causal=True))[:, :3], numpy(layer(changed, causal=True))[:, :3], atol=1e-5
    )
    assert np.abs(numpy(layer(x))[:, :3] - numpy(layer(changed))[:, :3]).max() > 1e-3


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("position", [layers.Position, layers.Rotary, layers.RelativeBias])
def test_a_query_with_nothing_to_read_gives_exactly_zero(rng, policy, position):
    x = 100 * rng.normal(size=(B, T, D)).astype("float32")
    pair_mask = np.ones((T, T), bool)
    pair_mask[2] = False
    output, weights = attention(use_bias=False, position=position(), dtype=policy)(
        x, mask=np.array([[1] * T, [0] * T], bool), pair_mask=pair_mask, return_weights=True
    )
    output, weights = numpy(output), numpy(weights)
    for silent in (output[0, 2], output[1], weights[0, :, 2], weights[1]):
        assert np.all(silent == 0)
    np.testing.assert_allclose(weights[0, :, [0, 1, 3, 4]].sum(-1), 1, atol=1e-2)
    assert np.all(np.isfinite(output))


def test_softmax_is_computed_in_single_precision(rng):
    scores = ops.cast(rng.normal(size=(B, H, T, 301)).astype("float32"), "bfloat16")
    weights = layers.AttentionMask.between(T, 301, causal=True).softmax(scores)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    np.testing.assert_allclose(numpy(weights).sum(-1), 1, atol=1e-6)


def test_with_a_bias_a_query_with_nothing_to_read_gives_that_bias(rng):
    layer = attention()
    layer.build((B, T, D))
    layer.output_projection.bias.assign(np.arange(D))
    output = layer(rng.normal(size=(B, T, D)).astype("float32"), mask=np.zeros((B, T), bool))
    np.testing.assert_array_equal(numpy(output), np.broadcast_to(np.arange(D), (B, T, D)))


class Uniform(layers.MultiHeadAttention):
    """Every key that may be read is worth the same."""

    def score(self, query, key):
        return ops.zeros((*ops.shape(query)[:3], ops.shape(key)[2]))


class Constant(layers.MultiHeadAttention):
    """Reads nothing at all, and remembers what it was told."""

    def attend(self, query, key, value, mask, *, training):
        self.told = mask
        return ops.ones_like(query), None


MODES = [
    {},
    {"causal": True},
    {"training": True},
    {"training": False},
    {"mask": np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], bool)},
    {"pair_mask": np.tri(T, dtype=bool)},
]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "+".join(mode) or "plain")
def test_no_mode_bypasses_an_override_of_score(rng, mode, dropout):
    x = rng.normal(size=(B, T, D)).astype("float32")
    _, weights = Uniform(H, head_width=W, dropout=dropout)(x, return_weights=True, **mode)
    weights = numpy(weights)
    for row in weights.reshape(-1, T):  # dropout scales all survivors alike
        assert len(np.unique(row[row > 0])) <= 1


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "+".join(mode) or "plain")
def test_no_mode_bypasses_an_override_of_attend(rng, mode, dropout):
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer = Constant(H, head_width=W, dropout=dropout)
    output = numpy(layer(x, **mode))
    expected = numpy(layer.output_projection.kernel).sum(0) + numpy(layer.output_projection.bias)
    np.testing.assert_allclose(output, np.broadcast_to(expected, (B, T, D)), atol=1e-5)
    assert layer.told.causal == mode.get("causal", False)


def test_attend_is_told_everything_in_one_value(rng):
    query, key = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S))
    layer = Constant(H, head_width=W, position=layers.RelativeBias())
    masks = {"key_mask": np.ones((B, S), bool), "pair_mask": np.ones((T, S), bool), "mask": np.ones((B, T), bool)}
    layer(query, key, causal=True, **masks)
    told = layer.told
    assert tuple(told.allowed().shape) == (B, 1, T, S)
    assert tuple(told.scores_bias().shape) == (1, H, T, S)
    assert told.causal


def test_an_override_works_inside_a_block(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    attend = Constant(H, head_width=W)
    layers.EncoderBlock(attend, feed_forward=6)(x, mask=np.ones((B, T), bool), causal=True)
    assert attend.told.causal
    assert attend.told.key is not None


def test_weights_are_weighed_where_an_override_of_attend_has_none(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer, plain = Constant(H, head_width=W), attention()
    _, weights = layer(x, causal=True, return_weights=True)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(numpy(weights), numpy(plain(x, causal=True, return_weights=True)[1]), atol=1e-6)


def test_a_value_without_a_key_is_refused(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    with pytest.raises(ValueError, match="expects a key where it gets a value"):
        attention()(x, value=x)


def test_dropout_counts_in_training_alone(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer = attention(dropout=0.5)
    np.testing.assert_array_equal(numpy(layer(x)), numpy(layer(x, training=False)))
    _, weights = layer(x, training=True, return_weights=True)
    assert 0.2 < (numpy(weights) == 0).mean() < 0.8


class Weighing(layers.MultiHeadAttention):
    def weigh(self, query, key, mask):  # an override, so that weights are made
        return super().weigh(query, key, mask)


class Biased(keras.Model):
    def __init__(self, attend, **mode):
        super().__init__()
        self.attend, self.mode = attend, mode
        self.bias = self.add_weight(shape=(H, T, T), initializer="glorot_normal")

    def call(self, x):
        return self.attend(x, bias=self.bias, training=True, **self.mode)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("mode", [*MODES[:2], *MODES[4:]], ids=lambda mode: "+".join(mode) or "plain")
def test_dropout_without_weights_is_dropout_with_them(rng, mode, policy):
    x, y = rng.normal(size=(2, B, T, D)).astype("float32")
    found = []
    for kind in (layers.MultiHeadAttention, Weighing):
        keras.utils.set_random_seed(5)  # so that both drop the same
        model = Biased(kind(H, head_width=W, dropout=0.3, soft_cap=4.0, dtype=policy), **mode)
        model.compile(keras.optimizers.SGD(1.0), loss="mse", jit_compile=False)
        loss = model.train_on_batch(x, y)
        found.append([loss, *(numpy(weight) for weight in model.trainable_weights)])
    assert len(found[0]) == 10
    near = 1e-5 if policy == "float32" else 0.02
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=near, atol=near)


def test_keras_implicit_mask_is_heard_and_passed_on(rng):
    ids = np.array([[3, 4, 5, 0, 0], [1, 2, 3, 4, 5]])
    embedding = keras.layers.Embedding(9, D, mask_zero=True)
    x = embedding(ids)
    _, implicit = attention()(x, return_weights=True)
    assert np.all(numpy(implicit)[0, :, :, 3:] == 0)
    stacked = keras.Sequential([embedding, *(layers.EncoderBlock(1, feed_forward=3) for _ in range(2))])
    explicit = stacked.layers[2](stacked.layers[1](x, mask=ids != 0), mask=ids != 0)
    np.testing.assert_allclose(numpy(stacked(ids)), numpy(explicit), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MultiHeadAttention(6, kv_heads=4), "kv_heads to divide heads. Received: heads=6, kv_heads=4"),
        (lambda: layers.MultiHeadAttention(6, kv_heads=0), "kv_heads of at least 1. Received: kv_heads=0"),
        (lambda: layers.MultiHeadAttention(6, window=0), "window of at least 1. Received: window=0"),
        (lambda: layers.MultiHeadAttention(6, value_width=0), "value_width of at least 1. Received: value_width=0"),
        (lambda: layers.MultiHeadAttention(6, soft_cap=0.0), "soft_cap above 0. Received: soft_cap=0.0"),
        (
            lambda: layers.MultiHeadAttention(6, position=layers.Sinusoidal()),
            "added to embeddings belongs in front of the blocks. Received: position=<Sinusoidal",
        ),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"mask": np.ones((B, S), bool)}, r"mask to be boolean of shape \(2, 5\). Received: bool of shape \(2, 7\)"),
        ({"key_mask": np.ones((B, T), "int32")}, r"key_mask .* shape \(2, 5\). Received: int32 of shape \(2, 5\)"),
        (
            {"pair_mask": np.ones((B, 2, T, T), bool)},
            r"\(5, 5\) or \(2, 5, 5\) or \(2, 3, 5, 5\). Received: bool of shape \(2, 2, 5, 5\)",
        ),
    ],
)
def test_masks_that_do_not_fit_are_refused_when_called_and_when_traced(rng, masks, message):
    with pytest.raises(ValueError, match=message):
        attention()(rng.normal(size=(B, T, D)).astype("float32"), **masks)
    symbolic = {k: keras.KerasTensor(m.shape, m.dtype.name) for k, m in masks.items()}
    with pytest.raises(ValueError, match=message):
        attention()(keras.KerasTensor((B, T, D)), **symbolic)
