"""The same hand count on every backend: 2 M K N for a product of (M, K) and (K, N)."""

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks.case import Case
from suite import flops, layers
from suite.task import Array, Encoded, Spec

B, T, S, D, F, H = 2, 7, 5, 12, 17, 3  # batch, length, memory's length, width, hidden width, heads


def floats(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def counted(layer, *inputs):
    layer(*inputs)  # builds it
    return flops.count(layer, *inputs)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (keras.layers.Dense(F), (B, T, D), 2 * B * T * D * F),
        (keras.layers.EinsumDense("abc,cde->abde", (None, 3, 5)), (B, T, D), 2 * B * T * D * 15),
        (keras.layers.Conv1D(F, 3, padding="same"), (B, T, D), 2 * B * T * 3 * D * F),
        (keras.layers.Conv1D(F, 3, dilation_rate=2, padding="causal"), (B, T, D), 2 * B * T * 3 * D * F),
        (keras.layers.Conv2D(F, (3, 2)), (B, T, S, D), 2 * B * (T - 2) * (S - 1) * 6 * D * F),
        (keras.layers.Conv2D(F, 3, strides=2, padding="same"), (B, T, S, D), 2 * B * 4 * 3 * 9 * D * F),
        (keras.layers.Conv2D(6, 3, groups=3), (B, T, S, D), 2 * B * (T - 2) * (S - 2) * 9 * (D // 3) * 6),
        (keras.layers.DepthwiseConv2D(3), (B, T, S, D), 2 * B * (T - 2) * (S - 2) * 9 * D),
        (keras.layers.SeparableConv1D(F, 3, padding="same"), (B, T, D), 2 * B * T * (3 * D + D * F)),
        (keras.layers.LayerNormalization(), (B, T, D), 0),
        (keras.layers.LSTM(F), (B, T, D), 2 * B * T * 4 * F * (D + F)),
        (keras.layers.GRU(F, return_sequences=True), (B, T, D), 2 * B * T * 3 * F * (D + F)),
        (keras.layers.SimpleRNN(F, unroll=True), (B, T, D), 2 * B * T * F * (D + F)),
    ],
    ids=lambda value: value.name if isinstance(value, keras.layers.Layer) else "",
)
def test_layers_of_keras(layer, shape, expected):
    assert counted(layer, floats(*shape)) == expected


def test_a_recurrent_layer_both_ways_with_a_mask():
    x, mask = floats(B, T, D), np.arange(T) < np.array([[T], [4]])
    layer = keras.layers.Bidirectional(keras.layers.LSTM(F, return_sequences=True))
    layer(x, mask=mask)
    assert flops.count(lambda x, mask: layer(x, mask=mask), x, mask) == 2 * 2 * B * T * 4 * F * (D + F)


def block(length=T):
    linear = 2 * B * length * (4 * D * D + 2 * D * F)
    return linear + 2 * 2 * B * length * length * D


@pytest.mark.parametrize("kind", [layers.MultiHeadAttention, layers.FusedAttention])
def test_an_encoder_of_the_suite(kind):
    encoder = layers.Encoder(2, layers.EncoderBlock(kind(H), feed_forward=F), position=layers.Sinusoidal())
    mask = np.arange(T) < np.array([[T], [4]])
    encoder(floats(B, T, D), mask=mask)
    assert flops.count(lambda x, mask: encoder(x, mask=mask), floats(B, T, D), mask) == 2 * block()


def test_attention_in_chunks_counts_every_block_with_what_overlaps():
    attention = layers.ChunkedAttention(H, chunk=3)
    assert counted(attention, floats(B, T, D)) == 2 * B * T * 4 * D * D + 2 * 2 * B * 9 * 9 * D


def test_attention_to_a_memory():
    decoder = layers.Decoder(1, layers.DecoderBlock(H, cross_attention=H, feed_forward=F))
    crossed = 2 * B * (T * 2 + S * 2) * D * D + 2 * 2 * B * T * S * D
    assert counted(decoder, floats(B, T, D), floats(B, S, D)) == block() + crossed


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_a_recurrent_decoder(cell):
    decoder = layers.RecurrentDecoder(2, cell=cell)
    assert counted(decoder, floats(B, T, D)) == 2 * 2 * B * T * {"LSTM": 4, "GRU": 3}[cell] * D * 2 * D


def test_what_the_outputs_do_not_need_is_not_counted():
    weights = floats(D, F)

    def wasteful(x):
        ops.matmul(x, weights)
        return x + ops.shape(ops.matmul(x, weights))[0]

    assert flops.count(wasteful, floats(T, D)) == 0


def test_sums_of_products():
    x, y = floats(B, T, S, D), floats(B, H, D)
    assert flops.count(lambda x, y: ops.einsum("btsd,bhd->btsh", x, y), x, y) == 2 * B * T * S * D * H
    assert flops.count(lambda x: ops.einsum("btsd->bdt", x), x) == 0


def test_a_product_with_a_vector():
    assert flops.count(ops.matmul, floats(B, T, D), floats(D)) == 2 * B * T * D
    assert flops.count(ops.dot, floats(D), floats(D)) == 2 * D


def test_what_one_condition_repeats_is_counted_or_unknown_and_never_guessed():
    weights = floats(D, D)

    def until(limit):
        def call(x):
            step = lambda i, x: (i + 1, ops.matmul(x, weights))  # noqa: E731
            return ops.while_loop(lambda i, x: limit(i, x), step, (0, x))[1]

        return call

    if keras.backend.backend() == "torch":  # which runs it, and so knows
        pytest.skip("PyTorch counts what was run")
    x = floats(T, D)
    assert flops.count(until(lambda i, x: ops.max(x) < 1e3), x) is None
    if keras.backend.backend() == "tensorflow":  # JAX keeps no count of such a loop
        assert flops.count(until(lambda i, x: i < 3), x) == 3 * 2 * T * D * D
        assert flops.count(until(lambda i, x: i < 2 * flops.MOST), x) is None


def test_the_benchmark_states_what_is_counted():
    case = Case(
        batch=B, length=T, width=D, heads=H, hidden=F, masked=True, training=False, dropout=0.0, precision="float32"
    )
    layer = layers.EncoderBlock(H, feed_forward=F)
    assert counted(layer, floats(B, T, D)) == case.flops() == block()


SPEC = Spec(inputs={"tokens": Array((None,), "int32")}, target=Array((None,), "int32"))


@pytest.mark.parametrize(("lengths", "mean"), [([3, 5, 8, 4, 7], 5), ([1, 1, 40], 14), ([6], 6)])
def test_an_example_of_mean_length(lengths, mean):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.TokenEmbedding(9, width=D)(tokens)
    model = keras.Model({"tokens": tokens}, keras.layers.Dense(F)(x))
    rows = [np.ones(length, "int32") for length in lengths]
    assert flops.per_example(model, Encoded(inputs={"tokens": rows}, targets=rows), SPEC) == 2 * mean * D * F


def test_an_example_of_fixed_size():
    x = keras.Input((D,), name="x")
    spec = Spec(inputs={"x": Array((D,), "float32")}, target=Array((), "int32"))
    points = Encoded(inputs={"x": list(floats(4, D))}, targets=[np.int32(0)] * 4)
    assert flops.per_example(keras.Model({"x": x}, keras.layers.Dense(F)(x)), points, spec) == 2 * D * F
