"""Stacks: blocks of their own weights, one position scheme, caches, rematerialization that changes nothing."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.blocks import EncoderBlock
from suite.layers.decoder import DecoderBlock
from suite.layers.normalization import LayerNormalization
from suite.layers.stacks import Decoder, Encoder

B, T, S, D = 2, 7, 5, 12
MASK = np.arange(T) < [[T], [4]]
LEFT = np.arange(T) >= [[0], [3]]
POSITIONS = {
    "none": lambda: None,
    "rotary": layers.Rotary,
    "relative": layers.RelativeBias,
    "sinusoidal": layers.Sinusoidal,
}


@pytest.fixture
def x():
    keras.utils.set_random_seed(3)
    return np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")


@pytest.fixture
def memory():
    return np.random.default_rng(1).normal(size=(B, S, D)).astype("float32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def settle(layer):
    """Weights that show whatever is lost, and are the same in any layer of the same structure."""
    for i, weight in enumerate(layer.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    return layer


def decoder(position: str = "none", **options) -> Decoder:
    block = DecoderBlock(2, feed_forward=11, **options)
    stack = Decoder(2, block, position=POSITIONS[position]())
    stack.build((B, T, D), (B, S, D) if "cross_attention" in options else None)
    return settle(stack)


def jitted(function):
    """The function as its backend compiles it."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def test_blocks_are_made_from_the_prototype_and_share_no_weight(x):
    prototype = EncoderBlock(layers.MultiHeadAttention(2, use_bias=False), feed_forward=11, norm="rms")
    stack = Encoder(3, prototype)
    output = numpy(stack(x))
    assert not prototype.built
    assert [block.name for block in stack.blocks] == ["block_1", "block_2", "block_3"]
    assert len({id(weight) for weight in stack.weights}) == 3 * (4 + 4 + 2) + 1
    expected = x
    for block in stack.blocks:
        expected = block(expected)
    np.testing.assert_allclose(output, numpy(stack.final_norm(expected)), atol=1e-6)


@pytest.mark.parametrize(
    ("placement", "final_norm", "kind"),
    [
        ("pre", "auto", keras.layers.RMSNormalization),
        ("sandwich", "auto", keras.layers.RMSNormalization),
        ("post", "auto", type(None)),
        ("post", "layer", LayerNormalization),
        ("pre", None, type(None)),
        ("pre", keras.layers.Identity(), keras.layers.Identity),
    ],
)
def test_a_last_norm_follows_where_the_blocks_leave_none(placement, final_norm, kind):
    stack = Encoder(1, EncoderBlock(2, feed_forward=3, norm="rms", placement=placement), final_norm=final_norm)
    assert type(stack.final_norm) is kind


def test_stochastic_depth_grows_with_depth_up_to_its_rate():
    block = EncoderBlock(2, feed_forward=3, drop_path=0.1)
    rates = [[r.drop_path.rate for r in b.residuals] for b in Encoder(4, block, drop_path=0.2).blocks]
    np.testing.assert_allclose(rates, [[0.05] * 2, [0.1] * 2, [0.15] * 2, [0.2] * 2])
    assert {r.drop_path.rate for b in Encoder(4, block).blocks for r in b.residuals} == {0.1}


def test_all_blocks_read_one_table_of_relative_positions(x, tmp_path):
    inputs = keras.Input((None, D))
    stack = Encoder(3, EncoderBlock(2, feed_forward=11), position=layers.RelativeBias(buckets=8, max_distance=16))
    model = keras.Model(inputs, stack(inputs))
    settle(model)
    assert len({id(block.attention.position) for block in stack.blocks}) == 1
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        assert sum("bias_table" in weight.path for weight in one.weights) == 1
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))


def test_a_scheme_for_embeddings_is_added_once_at_the_input(x):
    plain, placed = (Encoder(2, EncoderBlock(2, feed_forward=11), position=p) for p in (None, layers.Sinusoidal()))
    for stack in (plain, placed):
        stack.build(x.shape)
        settle(stack)
    places = np.array([[0, 1, 2, 0, 1, 2, 3]] * B)
    for positions in (None, places):
        expected = plain(layers.Sinusoidal()(x, positions=positions))
        np.testing.assert_allclose(numpy(placed(x, positions=positions)), numpy(expected), atol=1e-5)


@pytest.mark.parametrize("position", ["rotary", "relative", "sinusoidal"])
def test_packed_sequences_equal_separate_ones(x, position):
    stack = settle_encoder(position)
    segment = np.array([0, 0, 0, 1, 1, 1, 1])
    packed = stack(x, pair_mask=segment[:, None] == segment, positions=np.array([0, 1, 2, 0, 1, 2, 3]), causal=True)
    apart = [numpy(stack(part, causal=True)) for part in (x[:, :3], x[:, 3:])]
    np.testing.assert_allclose(numpy(packed), np.concatenate(apart, axis=1), atol=2e-5)


def settle_encoder(position: str) -> Encoder:
    stack = Encoder(2, EncoderBlock(2, feed_forward=11), position=POSITIONS[position]())
    stack.build((B, T, D))
    return settle(stack)


@pytest.mark.parametrize("mask", [None, LEFT], ids=["whole", "left padding"])
@pytest.mark.parametrize("position", POSITIONS)
def test_steps_with_a_cache_equal_the_whole(x, position, mask):
    stack = decoder(position)
    positions = None if mask is None else np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    whole = numpy(stack(x, mask=mask, positions=positions))
    cache, outputs, start = stack.make_cache(B, T), [], 0
    for n in (4, 1, 2):
        part = {} if mask is None else {"mask": mask, "positions": positions}
        part = {k: v[:, start : start + n] for k, v in part.items()}
        output, cache = stack(x[:, start : start + n], cache=cache, **part)
        outputs.append(numpy(output))
        start += n
    real = np.ones((B, T), bool) if mask is None else mask
    np.testing.assert_allclose(np.concatenate(outputs, axis=1)[real], whole[real], atol=5e-5)


@pytest.mark.parametrize("kind", ["static", "rolling", "cross"])
def test_a_cache_passes_through_a_compiled_loop(x, memory, kind):
    attention = layers.MultiHeadAttention(2, window=3) if kind == "rolling" else 2
    block = DecoderBlock(attention, feed_forward=11, cross_attention=2 if kind == "cross" else None)
    stack = Decoder(2, block, position=layers.Rotary() if kind == "rolling" else layers.Sinusoidal())
    cross = {"memory": ops.convert_to_tensor(memory)} if kind == "cross" else {}
    stack(x, **cross)
    settle(stack)
    whole = numpy(stack(x, **cross))

    def run(x):
        def step(i, cache, outputs):
            output, cache = stack(ops.take(x, ops.reshape(i, (1,)), axis=1), cache=cache)
            return i + 1, cache, ops.slice_update(outputs, (0, i, 0), output)

        cache = stack.make_cache(B, 2, rolling=True) if kind == "rolling" else stack.make_cache(B, T, **cross)
        start = (ops.zeros((), "int32"), cache, ops.zeros((B, T, D)))
        return ops.while_loop(lambda i, *_: i < T, step, start)[2]

    np.testing.assert_allclose(numpy(jitted(run)(ops.convert_to_tensor(x))), whole, atol=5e-5)


def trained(remat: bool, *, run_eagerly: bool, monkeypatch) -> tuple[list, list, list, int]:
    """Weights, losses, random state after a step or two, and how often a block was rematerialized."""
    keras.utils.set_random_seed(11)
    calls = []
    original = keras.remat
    monkeypatch.setattr(keras, "remat", lambda function: calls.append(function) or original(function))
    # A regularizer of activities and moving statistics: a loss and a state of a block's own.
    inner = keras.Sequential(
        [keras.layers.Dense(D, "tanh", activity_regularizer="l2"), keras.layers.BatchNormalization()]
    )
    blocks = (
        EncoderBlock(2, feed_forward=inner, dropout=0.2, drop_path=0.2),
        DecoderBlock(2, feed_forward=11, cross_attention=2, dropout=0.2, placement="post"),
    )
    encoder = Encoder(2, blocks[0], position=layers.RelativeBias(), remat=remat)
    stack = Decoder(1, blocks[1], position=layers.Sinusoidal(), remat=remat)
    inputs, mask = keras.Input((None, D)), keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, mask], stack(inputs, encoder(inputs, mask=mask), mask=mask, memory_mask=mask))
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly, jit_compile=False)
    rng = np.random.default_rng(2)
    arrays, target = [rng.normal(size=(B, T, D)).astype("float32"), MASK], rng.normal(size=(B, T, D))
    losses = [model.train_on_batch(arrays, target) for _ in range(1 if run_eagerly else 2)]
    counted = len(calls)
    model.predict_on_batch(arrays)
    assert len(calls) == counted  # not in inference
    weights = [numpy(v) for v in model.trainable_variables]
    return weights, losses, [ops.convert_to_numpy(v) for v in model.non_trainable_variables], counted


@pytest.mark.parametrize("run_eagerly", [False] if keras.backend.backend() == "jax" else [False, True])
def test_rematerialization_changes_neither_gradients_nor_random_state(run_eagerly, monkeypatch):
    weights, losses, state, never = trained(False, run_eagerly=run_eagerly, monkeypatch=monkeypatch)
    again, losses_again, state_again, often = trained(True, run_eagerly=run_eagerly, monkeypatch=monkeypatch)
    assert never == 0
    assert often >= 3
    np.testing.assert_allclose(losses_again, losses, rtol=1e-5)
    for before, after in zip(weights, again, strict=True):
        np.testing.assert_allclose(after, before, atol=2e-5)
    for before, after in zip(state, state_again, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


OPTIONS = {"dropout": 0.1, "final_norm": "rms", "remat": True, "drop_path": 0.3}


@pytest.mark.parametrize(("cls", "block"), [(Encoder, EncoderBlock), (Decoder, DecoderBlock)])
def test_the_configuration_holds_every_argument(cls, block):
    parts = {"block": block(2, feed_forward=5, norm="rms"), "position": layers.Rotary(wavelength=99.0)}
    config = cls(2, **parts, **OPTIONS).get_config()
    assert {k: config[k] for k in OPTIONS} == OPTIONS
    assert config["depth"] == 2
    assert {k: config[k] for k in parts} == {k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}
    assert cls.from_config(config).get_config() == config


def test_a_saved_decoder_gives_the_same_outputs(x, memory, tmp_path):
    inputs, read = keras.Input((None, D)), keras.Input((None, D))
    block = DecoderBlock(2, feed_forward=5, cross_attention=2)
    model = keras.Model([inputs, read], Decoder(2, block, position=layers.Sinusoidal())(inputs, read))
    settle(model).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict_on_batch([x, memory])
    np.testing.assert_array_equal(loaded.predict_on_batch([x, memory]), expected)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_stays_near_single_precision(x, policy):
    outputs = []
    for dtype in ("float32", policy):
        attention = layers.MultiHeadAttention(2, dtype=dtype)
        block = EncoderBlock(attention, feed_forward=11, norm="rms", layer_scale=0.5, placement="sandwich", dtype=dtype)
        stack = Encoder(2, block, position=layers.Sinusoidal(dtype=dtype), dtype=dtype)
        stack.build(x.shape)
        outputs.append(settle(stack)(x, mask=MASK))
    assert keras.backend.standardize_dtype(outputs[1].dtype) == policy.removeprefix("mixed_")
    np.testing.assert_allclose(numpy(outputs[1])[MASK], numpy(outputs[0])[MASK], atol=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Encoder(0, EncoderBlock(2, feed_forward=3)), "depth of at least 1. Received: depth=0"),
        (
            lambda: Encoder(
                1,
                EncoderBlock(layers.MultiHeadAttention(2, position=layers.Rotary()), feed_forward=3),
                position=layers.Rotary(),
            ),
            r"not both\. Received: position=<Rotary",
        ),
        (lambda: Encoder(1, EncoderBlock(2, feed_forward=3), final_norm="batch"), "norm='batch'"),
        (lambda: Encoder(1, EncoderBlock(2, feed_forward=3), drop_path=1.0), "drop_path=1.0"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
