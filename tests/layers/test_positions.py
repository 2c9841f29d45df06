"""What every position scheme promises."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from suite import layers
from suite.layers import positions

B, H, T, D, W = 2, 3, 7, 20, 20  # batch, heads, length, width, head width
FAR = 5000

SCHEMES = {
    "none": lambda **k: layers.Position(**k),
    "sinusoidal": lambda **k: layers.Sinusoidal(**k),
    "sinusoidal_halves": lambda **k: layers.Sinusoidal(interleaved=False, endpoint=True, wavelength=99.0, **k),
    "learned": lambda **k: layers.Learned(FAR + T, **k),
    "sinusoidal_grid": lambda **k: layers.SinusoidalGrid((71, 73), prefix=2, wavelength=99.0, endpoint=True, **k),
    "learned_grid": lambda **k: layers.LearnedGrid((71, 73), trained_grid=(142, 146), prefix=2, **k),
    "rotary": lambda **k: layers.Rotary(**k),
    "rotary_partial": lambda **k: layers.Rotary(
        wavelength=99.0, rotary_width=6, interleaved=True, scaling=layers.YaRNScaling(factor=3.0, length=64), **k
    ),
    "rotary_grid": lambda **k: layers.RotaryGrid((71, 73), trained_grid=(142, 219), prefix=2, wavelength=99.0, **k),
    "relative_bias": lambda **k: layers.RelativeBias(**k),
    "relative_bias_causal": lambda **k: layers.RelativeBias(buckets=16, max_distance=64, bidirectional=False, **k),
    "alibi": lambda **k: layers.Alibi(max_bias=6.0, **k),
}


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def made(name, **kwargs) -> layers.Position:
    """A scheme that is built, with weights of a visible size."""
    scheme = SCHEMES[name](**kwargs)
    scheme.build((None, H, None, W) if scheme.in_attention else (None, None, D))
    for weight in scheme.weights:
        weight.assign(np.random.default_rng(3).normal(size=weight.shape))
    return scheme


def normal(*shape, seed=5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def act(scheme, at, dtype="float32") -> np.ndarray:
    """What a scheme makes of the same thing at every position: (B or 1, T, numbers)."""
    at = np.asarray(at)
    if not scheme.in_attention:
        x = np.broadcast_to(normal(1, 1, D), (B, at.shape[-1], D))
        return numpy(scheme(ops.cast(x, dtype), positions=at))
    x = np.broadcast_to(normal(1, H, 1, W), (B, H, at.shape[-1], W))
    turned = numpy(scheme.rotate(ops.cast(x, dtype), at)).swapaxes(1, 2).reshape(B, -1, H * W)
    keys = np.arange(at.min(), at.min() + T)
    bias = scheme.bias(at, keys)  # (B or 1, H, T, S)
    if bias is None:
        return turned
    bias = np.broadcast_to(numpy(bias), (B, H, at.shape[-1], T)).swapaxes(1, 2).reshape(B, -1, H * T)
    return np.concatenate([turned, bias], axis=-1)


@pytest.mark.parametrize("name", SCHEMES)
def test_positions_that_start_late_are_the_end_of_those_that_start_at_0(name):
    scheme = made(name)
    if scheme.in_attention:
        x = normal(B, H, T, W)
        np.testing.assert_allclose(
            numpy(scheme.rotate(x[:, :, 3:], np.arange(3, T))),
            numpy(scheme.rotate(x, np.arange(T)))[:, :, 3:],
            atol=1e-6,
        )
        if (whole := scheme.bias(np.arange(T), np.arange(T))) is not None:
            np.testing.assert_array_equal(numpy(scheme.bias(np.arange(3, T), np.arange(T))), numpy(whole)[:, :, 3:])
    x = normal(B, T, D)
    np.testing.assert_allclose(numpy(scheme(x[:, 3:], positions=np.arange(3, T))), numpy(scheme(x))[:, 3:], atol=1e-6)


@pytest.mark.parametrize("name", SCHEMES)
def test_each_row_may_have_positions_of_its_own(name):
    scheme = made(name)
    packed = np.array([[0, 1, 2, 3, 0, 1, 2], [5, 6, 7, 8, 9, 10, 11]])
    x = normal(B, T, D)
    together = numpy(scheme(x, positions=packed))
    for row in range(B):
        np.testing.assert_allclose(together[row], numpy(scheme(x, positions=packed[row]))[row], atol=1e-6)
    if not scheme.in_attention:
        return
    x = normal(B, H, T, W)
    keys = packed[:, 2:]
    turned, bias = numpy(scheme.rotate(x, packed)), scheme.bias(packed, keys)
    assert bias is None or tuple(bias.shape) == (B, H, T, T - 2)
    for row in range(B):
        np.testing.assert_allclose(turned[row], numpy(scheme.rotate(x, packed[row]))[row], atol=1e-6)
        if bias is not None:
            np.testing.assert_array_equal(numpy(bias)[row], numpy(scheme.bias(packed[row], keys[row]))[0])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "none"])
def test_half_precision_keeps_far_positions_apart(name, policy):
    # bfloat16 counts in steps of 32 from 4096 on and float16 in steps of 4, so positions kept in them would coincide.
    single, half = made(name), made(name, dtype=policy)
    at = np.arange(FAR, FAR + T)
    ours = act(half, at, policy.removeprefix("mixed_"))
    np.testing.assert_allclose(ours, act(single, at), atol=0.02, rtol=0.02)
    assert np.abs(np.diff(ours, axis=1)).max(axis=-1).min() > 0.01


def as_model(name, *, length=None, explicit=False) -> keras.Model:
    """The scheme in a functional model: on its own, or within attention."""
    x = keras.Input((length, D), name="x")
    at = keras.Input((length,), dtype="int32", name="at") if explicit else None
    scheme = made(name)
    layer = layers.MultiHeadAttention(H, head_width=W, position=scheme) if scheme.in_attention else scheme
    return keras.Model([x, at] if explicit else [x], layer(x, positions=at))


@pytest.mark.parametrize(
    ("name", "explicit"),
    [(name, True) for name in SCHEMES] + [(name, False) for name in ("learned", "rotary", "relative_bias")],
)
def test_compiled_with_an_unknown_length_equals_eager_and_saved(name, explicit, tmp_path):
    model = as_model(name, explicit=explicit)
    assert model.output_shape == (None, None, D)
    inputs = [normal(B, T, D), np.array([[0, 1, 2, 3, 0, 1, 2], [5, 6, 7, 8, 9, 10, 11]], "int32")][: 1 + explicit]
    eager = numpy(model(inputs))
    np.testing.assert_allclose(model.predict_on_batch(inputs), eager, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(inputs)), eager, atol=1e-6)


# Every argument of every constructor, none at its default.
ARGUMENTS = {
    layers.Position: {},
    layers.Sinusoidal: {"wavelength": 99.0, "interleaved": False, "endpoint": True},
    layers.Learned: {"length": 11},
    layers.SinusoidalGrid: {
        "grid": (3, 5),
        "trained_grid": (7, 2),
        "prefix": 2,
        "wavelength": 99.0,
        "endpoint": True,
    },
    layers.LearnedGrid: {"grid": (3, 5), "trained_grid": (7, 2), "prefix": 2},
    layers.Rotary: {
        "wavelength": 99.0,
        "rotary_width": 6,
        "interleaved": True,
        "scaling": layers.YaRNScaling(factor=3.0, length=64, beta_fast=9.0, beta_slow=2.0, truncate=False),
    },
    layers.RotaryGrid: {"grid": (3, 5), "trained_grid": (7, 2), "prefix": 2, "wavelength": 99.0},
    layers.RelativeBias: {"buckets": 16, "max_distance": 64, "bidirectional": False},
    layers.Alibi: {"max_bias": 6.0},
}


@pytest.mark.parametrize("cls", ARGUMENTS, ids=lambda cls: cls.__name__)
def test_the_configuration_holds_every_argument(cls):
    accepted = {p for c in cls.__mro__ if "__init__" in vars(c) and issubclass(c, layers.Position)
                for p in inspect.signature(c.__init__).parameters}  # fmt: skip
    assert set(ARGUMENTS[cls]) == accepted - {"self", "kwargs"}
    layer = cls(**ARGUMENTS[cls], name="mine", dtype="mixed_bfloat16")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    for one in (layer, again):
        assert {key: getattr(one, key) for key in ARGUMENTS[cls]} == ARGUMENTS[cls]
    assert again.get_config() == layer.get_config()


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["rotary", "rotary_partial", "rotary_grid", "alibi", "relative_bias", "relative_bias_causal"]),
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    lengths=st.sampled_from([(7, 5), (1, 11)]),
    shift=st.integers(1, 900),
    seed=st.integers(0, 99),
)
def test_moving_all_positions_alike_changes_no_score(name, dtype, lengths, shift, seed):
    scheme = made(name)
    if name == "rotary_grid":  # whole rows; and nothing that has no place
        shift = 73 * (shift % 50 + 1)
    rng = np.random.default_rng(seed)
    at, key_at = (rng.integers(2, 200, (B, length)) for length in lengths)
    query, key = (ops.cast(normal(B, H, length, W, seed=seed), dtype) for length in lengths)

    def scores(by):
        product = numpy(scheme.rotate(query, at + by)) @ numpy(scheme.rotate(key, key_at + by)).swapaxes(-1, -2)
        bias = scheme.bias(at + by, key_at + by)
        return product * W**-0.5 + (0 if bias is None else numpy(bias))

    tolerance = {"float32": 3e-3, "float16": 0.02, "bfloat16": 0.1}[dtype] if "rotary" in name else 0
    np.testing.assert_allclose(scores(shift), scores(0), atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "none"])
def test_a_model_with_a_position_tells_the_order_of_words(name):
    keras.utils.set_random_seed(31)
    scheme = made(name)
    inside = scheme if scheme.in_attention else None
    attention = layers.MultiHeadAttention(H, head_width=W, position=inside)
    x = normal(1, T, D)
    order = [2, 0, 1, 6, 4, 3, 5]

    def change(model):
        return np.abs(numpy(model(x))[:, order] - numpy(model(x[:, order]))).max()

    assert change(lambda y: attention(scheme(y))) > 1e-3
    assert change(layers.MultiHeadAttention(H, head_width=W, position=layers.Position())) < 1e-5


@pytest.mark.parametrize("name", ["learned", "learned_grid", "sinusoidal_grid", "rotary_grid"])
def test_a_bounded_scheme_is_nan_where_a_compiled_function_meets_an_unknown_position_beyond_it(name):
    inputs = [normal(B, T, D), np.zeros((B, T), "int32")]
    inputs[1][1, 2] = 9999
    model = as_model(name, explicit=True)
    if keras.backend.backend() == "torch":  # where everything is known
        with pytest.raises(ValueError, match=r"positions from 0 to .*Received: positions from 0 to 9999"):
            model.predict_on_batch(inputs)
        return
    output = model.predict_on_batch(inputs)
    assert np.isnan(output[1, 2]).all()
    assert np.isfinite(output[0]).all()


def test_positions_must_be_whole_numbers():
    for at in (np.arange(T).astype("float32"), np.zeros((B, T, 1), "int32")):
        with pytest.raises(
            ValueError, match=rf"integers of shape .T,. or .B, T.\. Received: .* of shape \({at.shape[0]}"
        ):
            positions.per_row(at)


@pytest.mark.parametrize("cls", [layers.Rotary, layers.RotaryGrid, layers.Sinusoidal, layers.SinusoidalGrid])
def test_a_wavelength_of_0_is_refused(cls):
    grid = ((3, 5),) if issubclass(cls, layers.Grid) else ()
    with pytest.raises(ValueError, match=r"wavelength above 0\. Received: wavelength=0"):
        cls(*grid, wavelength=0)


@pytest.mark.parametrize("cls", [layers.RelativeBias, layers.Alibi])
def test_a_bias_is_built_for_projected_queries_alone(cls):
    with pytest.raises(ValueError, match=r"projected queries \(B, H, T, W\). Received: shape \(2, 7, 20\)"):
        cls()(normal(B, T, D))
