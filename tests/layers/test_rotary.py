from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers import LinearScaling, Llama3Scaling, MultiHeadAttention, NTKScaling, Rotary, YaRNScaling

B, H, T, W = 2, 3, 7, 10  # batch, heads, length, head width


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


@pytest.fixture
def x():
    return np.random.default_rng(19).normal(size=(B, H, T, W)).astype("float32")


def turned(x, frequencies, at=None) -> np.ndarray:
    """The halves of the features, as real and imaginary parts, turned by complex numbers of length 1."""
    half = x.shape[-1] // 2
    z = x[..., :half] + 1j * x[..., half:]
    z = z * np.exp(1j * (np.arange(x.shape[2]) if at is None else at)[:, None] * frequencies)
    return np.concatenate([z.real, z.imag], axis=-1)


def test_rotary_is_a_turn_in_the_complex_plane(x):
    expected = turned(x, 10_000.0 ** (-2 * np.arange(W // 2) / W))
    np.testing.assert_allclose(numpy(Rotary().rotate(x, np.arange(T))), expected, atol=1e-6)


def test_interleaved_pairs_neighbours(x):
    order = np.r_[0:W:2, 1:W:2]
    expected = turned(x[..., order], 99.0 ** (-2 * np.arange(W // 2) / W))[..., np.argsort(order)]
    output = numpy(Rotary(wavelength=99.0, interleaved=True).rotate(x, np.arange(T)))
    np.testing.assert_allclose(output, expected, atol=1e-6)


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_rotary_width_turns_the_leading_features_alone(x, interleaved):
    output = numpy(Rotary(rotary_width=6, interleaved=interleaved).rotate(x, np.arange(T)))
    np.testing.assert_allclose(
        output[..., :6], numpy(Rotary(interleaved=interleaved).rotate(x[..., :6], np.arange(T))), atol=1e-6
    )
    np.testing.assert_array_equal(output[..., 6:], x[..., 6:])


@pytest.mark.parametrize("at", [None, np.array([[0, 1, 2, 3, 0, 1, 2], [700, 701, 2, 9, 3000, 11, 4]])])
def test_rotary_equals_keras_hub(x, at):
    from keras_hub.layers import RotaryEmbedding

    theirs = numpy(RotaryEmbedding(max_wavelength=9_999)(x.transpose(0, 2, 1, 3), positions=at))  # (B, T, H, W)
    ours = numpy(Rotary(wavelength=9_999).rotate(x, np.arange(T) if at is None else at)).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-6 if at is None else 1e-3)  # angles of float32 frequencies


@pytest.mark.parametrize(("truncate", "length"), [(False, 512), (True, 512), (True, 48)])  # 48: a ramp cut off at 0
def test_yarn_equals_keras_hub(truncate, length):
    from keras_hub.layers import RotaryEmbedding

    x = np.random.default_rng(23).normal(size=(B, T, H, 64)).astype("float32")
    theirs = RotaryEmbedding(
        scaling_factor=8.0, rope_type="yarn", original_max_position_embeddings=length, beta_fast=16.0, truncate=truncate
    )(x)
    scaling = YaRNScaling(factor=8.0, length=length, beta_fast=16.0, truncate=truncate)
    ours = numpy(Rotary(scaling=scaling).rotate(x.transpose(0, 2, 1, 3), np.arange(T))).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(ours, numpy(theirs), atol=1e-5)


def test_linear_scaling_squeezes_positions(x):
    ours = numpy(Rotary(scaling=LinearScaling(factor=4.0)).rotate(x, 4 * np.arange(T)))
    np.testing.assert_allclose(ours, numpy(Rotary().rotate(x, np.arange(T))), atol=1e-5)


def test_ntk_scaling_raises_the_base_so_that_the_slowest_frequency_is_divided(x):
    frequencies = NTKScaling(factor=5.0).frequencies(W, 10_000.0)
    np.testing.assert_allclose(frequencies, (10_000.0 * 5 ** (W / (W - 2))) ** (-2 * np.arange(W // 2) / W))
    np.testing.assert_allclose(frequencies[-1] * 5, 10_000.0 ** (-(W - 2) / W))
    ours = numpy(Rotary(scaling=NTKScaling(factor=5.0)).rotate(x, np.arange(T)))
    np.testing.assert_allclose(ours, turned(x, frequencies), atol=1e-6)


def test_llama_3_scaling_is_that_of_llama_3_1():
    """Its wavelengths above 8192 are divided by 8, those below 2048 stay; as in Meta's `apply_scaling`."""
    plain = 500_000.0 ** (-np.arange(0, 128, 2) / 128)
    expected = []
    for frequency in plain:
        wavelength = 2 * np.pi / frequency
        smooth = (8192 / wavelength - 1) / (4 - 1)
        between = (1 - smooth) * frequency / 8 + smooth * frequency
        expected.append(frequency if wavelength < 2048 else frequency / 8 if wavelength > 8192 else between)
    ours = Llama3Scaling(factor=8.0, length=8192).frequencies(128, 500_000.0)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    assert len({"kept" if r == 1 else "divided" if r == 8 else "between" for r in plain / ours}) == 3


def test_yarn_multiplies_scores_by_the_square_of_its_factor_and_keeps_what_is_not_turned():
    x = np.random.default_rng(29).normal(size=(B, H, T, 64)).astype("float32")
    output = numpy(Rotary(rotary_width=32, scaling=YaRNScaling(factor=8.0, length=512)).rotate(x, np.arange(T)))
    lengths = np.linalg.norm(output[..., :32], axis=-1) / np.linalg.norm(x[..., :32], axis=-1)
    np.testing.assert_allclose(lengths, 0.1 * np.log(8.0) + 1, rtol=1e-5)
    np.testing.assert_array_equal(output[..., 32:], x[..., 32:])


def test_attention_without_heads_of_even_width_is_refused_where_it_is_traced():
    with pytest.raises(ValueError, match=r"even head width\. Received: head width 5"):
        MultiHeadAttention(2, position=Rotary())(np.ones((B, T, 10), "float32"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotary(rotary_width=3), r"even rotary_width\. Received: rotary_width=3"),
        (
            lambda: Rotary(rotary_width=12).rotate(np.ones((B, H, T, W), "float32"), np.arange(T)),
            r"at least rotary_width=12\. Received: head width 10",
        ),
        (lambda: LinearScaling(factor=0.5), r"LinearScaling expects a factor of at least 1\. Received: factor=0.5"),
        (lambda: NTKScaling(factor=2.0).frequencies(2, 99.0), "at least 4 features to turn. Received: 2"),
        (lambda: YaRNScaling(factor=2.0, length=0), "length=0"),
        (lambda: YaRNScaling(factor=2.0, length=9, beta_fast=1.0), "beta_fast=1.0, beta_slow=1.0"),
        (lambda: Llama3Scaling(factor=2.0, length=9, low=4.0), "low=4.0, high=4.0"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
