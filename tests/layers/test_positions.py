from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers

B, H, T, W = 2, 3, 7, 10  # batch, heads, length, head width


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


@pytest.fixture
def x():
    return np.random.default_rng(19).normal(size=(B, H, T, W)).astype("float32")


def test_rotary_is_a_turn_in_the_complex_plane(x):
    angles = np.arange(T)[:, None] * 10_000.0 ** (-2 * np.arange(W // 2) / W)
    turned = (x[..., : W // 2] + 1j * x[..., W // 2 :]) * np.exp(1j * angles)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    np.testing.assert_allclose(numpy(layers.Rotary().rotate(x, np.arange(x.shape[2]))), expected, atol=1e-6)


def test_rotary_equals_keras_hub(x):
    from keras_hub.layers import RotaryEmbedding

    theirs = RotaryEmbedding()(x.transpose(0, 2, 1, 3))  # (B, T, H, W)
    np.testing.assert_allclose(
        numpy(layers.Rotary().rotate(x, np.arange(x.shape[2]))).transpose(0, 2, 1, 3), numpy(theirs), atol=1e-6
    )


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = np.random.default_rng(23).normal(size=(2, 1, 1, 1, W)).astype("float32")

    def turn(y):
        return layers.Rotary().rotate(y, np.arange(T))

    scores = numpy(turn(np.repeat(q, T, axis=2))) @ numpy(turn(np.repeat(k, T, axis=2))).swapaxes(-1, -2)
    for distance in range(-T + 1, T):
        assert np.ptp(np.diagonal(scores[0, 0], distance)) < 1e-4
    assert np.ptp(scores) > 0.1


def test_rotary_in_half_precision_keeps_far_positions_apart():
    length = 4099  # bfloat16 counts in steps of 32 from 4096 on, so positions kept in it would coincide
    x = ops.cast(np.ones((1, 1, length, 4), "float32"), "bfloat16")
    turned = numpy(layers.Rotary().rotate(x, np.arange(x.shape[2])))[0, 0]
    assert np.abs(turned[-1] - turned[-2]).max() > 0.1


def bucket(distance: int, buckets: int, max_distance: int) -> int:
    """The bucket of one distance, after the T5 paper's code."""
    side = buckets // 2
    start = side if distance > 0 else 0
    distance = abs(distance)
    exact = side // 2
    if distance < exact:
        return start + distance
    far = exact + int(np.log(distance / exact) / np.log(max_distance / exact) * (side - exact) + 1e-6)
    return start + min(far, side - 1)


@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (8, 16), (4, 2)])
def test_relative_buckets_are_those_of_t5(buckets, max_distance):
    distances = np.arange(-300, 301)
    ours = layers.RelativeBias(buckets=buckets, max_distance=max_distance).bucket(ops.cast(distances, "int32"))
    expected = [bucket(int(d), buckets, max_distance) for d in distances]
    np.testing.assert_array_equal(numpy(ours), expected)


def test_relative_bias_reads_its_table_by_head_and_direction():
    layer = layers.RelativeBias(buckets=8, max_distance=16)
    layer.build((None, H, None, W))
    table = np.arange(8 * H).reshape(8, H)
    layer.table.assign(table)
    bias = numpy(layer.bias(np.arange(4), np.arange(5)))
    assert bias.shape == (1, H, 4, 5)
    for h, t, s in np.ndindex(H, 4, 5):
        assert bias[0, h, t, s] == table[bucket(s - t, 8, 16), h]


def test_sinusoidal_equals_the_formula():
    table = np.empty((T, W))
    for t, i in np.ndindex(T, W // 2):
        table[t, 2 * i : 2 * i + 2] = np.sin(t / 10_000 ** (2 * i / W)), np.cos(t / 10_000 ** (2 * i / W))
    x = np.random.default_rng(29).normal(size=(B, T, W)).astype("float32")
    np.testing.assert_allclose(numpy(layers.Sinusoidal()(x)), x + table, atol=1e-5)


class Alibi(layers.Position):
    """A scheme from elsewhere: a linear penalty on distance."""

    def bias(self, query_positions, key_positions):
        return -ops.cast(ops.abs(key_positions[None, :] - query_positions[:, None]), "float32")[None, None]


@pytest.mark.parametrize("position", [layers.Rotary, layers.RelativeBias, Alibi])
def test_attention_with_a_position_tells_the_order_of_words(position):
    keras.utils.set_random_seed(31)
    x = np.random.default_rng(37).normal(size=(1, T, 12)).astype("float32")
    order = [2, 0, 1, 6, 4, 3, 5]

    def change(layer):
        return np.abs(numpy(layer(x))[:, order] - numpy(layer(x[:, order]))).max()

    injected = position()
    layer = layers.MultiHeadAttention(3, position=injected)
    layer.build(x.shape)
    for weight in injected.weights:
        weight.assign(np.random.default_rng(41).normal(size=weight.shape))
    assert change(layer) > 1e-3
    assert change(layers.MultiHeadAttention(3)) < 1e-5
