"""Each probe catches a fault of its kind, and sound layers pass them all."""

from __future__ import annotations

import dataclasses
import types

import keras
import numpy as np
import pytest
from keras import ops

from suite import checks, layers
from suite.layers.decoder import DecoderBlock

PROBES = {probe.name: probe for probe in checks.PROBES}
register = keras.saving.register_keras_serializable(package="planted")


@register
class DropsCausalInTraining(layers.MultiHeadAttention):
    def attend(self, query, key, value, mask, *, training):
        mask = dataclasses.replace(mask, causal=mask.causal and not training)
        return super().attend(query, key, value, mask, training=training)


@register
class ReadsTheNext(keras.layers.Layer):
    causal = True

    def call(self, inputs):
        return inputs + ops.roll(inputs, -1, axis=1)


@register
class ReadsPadding(layers.MultiHeadAttention):
    def attend(self, query, key, value, mask, *, training):
        return super().attend(query, key, value, dataclasses.replace(mask, key=None), training=training)


@register
class AveragesPadding(keras.layers.Layer):
    supports_masking = True

    def call(self, inputs, *, mask=None):
        return ops.mean(inputs, axis=1)


@register
class ForgetsWhereItStands(layers.MultiHeadAttention):
    def call(self, query, key=None, value=None, *, causal=False, cache=None):
        return super().call(query, key, causal=causal, cache=cache, positions=ops.arange(ops.shape(query)[1]))


@register
class WrapsAround(keras.layers.Layer):
    """Sums what it has seen, in as many slots as it has."""

    def call(self, inputs, *, cache=None):
        if cache is None:
            return ops.cumsum(inputs, axis=1)
        slots, length = cache
        at = (length + ops.arange(inputs.shape[1])) % slots.shape[1]
        for t in range(inputs.shape[1]):
            slots = ops.slice_update(slots, (0, at[t], 0), inputs[:, t : t + 1])
        return ops.take(ops.cumsum(slots, axis=1), at, axis=1), (slots, length + inputs.shape[1])

    def make_cache(self, batch, length):
        return ops.zeros((batch, length, 24)), ops.zeros((), "int32")


def open_softmax(scores, mask, closed):
    return ops.softmax(scores if mask.allowed() is None else ops.where(mask.allowed(), scores, closed))


@register
class UniformWhereClosed(layers.MultiHeadAttention):
    def weigh(self, query, key, mask):
        return open_softmax(self.logits(query, key), mask, -1e30)


@register
class NanWhereClosed(layers.MultiHeadAttention):
    def weigh(self, query, key, mask):
        return open_softmax(self.logits(query, key), mask, -np.inf)


@register
class MixesTheBatch(keras.layers.Layer):
    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=0, keepdims=True)


@register
class PromisesAnotherShape(keras.layers.Layer):
    def call(self, inputs):
        return inputs[..., :-1]

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class NeedsToKnowTheLength(keras.layers.Layer):
    def build(self, input_shape):
        self.ones = np.ones((input_shape[1], 1), "float32")

    def call(self, inputs):
        return inputs * self.ones


@register
class ForgetsAnArgument(layers.FeedForward):
    def __init__(self, hidden=5, *, temperature=1.0, **kwargs):
        super().__init__(hidden, **kwargs)
        self.temperature = temperature


@register
class MisremembersAnArgument(keras.layers.Layer):
    def __init__(self, scale=2.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return self.scale * inputs

    def get_config(self):
        return {**super().get_config(), "scale": 2.0}


@register
class HidesAWeight(keras.layers.Layer):
    def build(self, input_shape):
        self.held = types.SimpleNamespace(scale=keras.Variable(np.random.default_rng().normal(size=input_shape[-1])))

    def call(self, inputs):
        return inputs * self.held.scale


@register
class StopsAGradient(layers.FeedForward):
    def call(self, inputs, *, training=None):
        return self.outer(ops.stop_gradient(self.inner(inputs)))


@register
class CountsInHalf(keras.layers.Layer):
    def call(self, inputs):
        return inputs + ops.sin(ops.cast(ops.arange(ops.shape(inputs)[1]), inputs.dtype))[:, None]


@register
class OverflowsInHalf(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 1e3 * 1e3 / 1e6


@register
class CountsItsCalls(keras.layers.Layer):
    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * self.calls


PLANTED = [
    ("causal", lambda: DropsCausalInTraining(2), "in training with dropout"),
    ("causal", ReadsTheNext, "before position 1"),
    ("padding", lambda: ReadsPadding(2), "mask right"),
    ("padding", AveragesPadding, "mask left"),
    ("cached", lambda: ForgetsWhereItStands(2, position=layers.Rotary()), "causal in steps of 1"),
    ("cached", WrapsAround, "5 tokens in steps of 1 went into a cache of 4 slots unnoticed"),
    ("closed_row", lambda: UniformWhereClosed(2), "pair_mask"),
    ("closed_row", lambda: NanWhereClosed(2), "inf apart"),
    ("batch", MixesTheBatch, "row 0"),
    ("shapes", PromisesAnotherShape, r"symbolic \(None, 7, 24\), eager \(3, 7, 23\)"),
    ("shapes", NeedsToKnowTheLength, "raised"),
    ("config", ForgetsAnArgument, "no temperature in get_config"),
    ("config", MisremembersAnArgument, "scale=2.125 is not in get_config, which shows 2.0"),
    ("saving", HidesAWeight, ".keras file"),
    ("training", lambda: StopsAGradient(5), "inner/kernel does not move, although outputs depend on it"),
    ("precision", CountsInHalf, "307 positions bfloat16"),
    ("precision", OverflowsInHalf, "float16: inf apart"),
    ("compiled", CountsItsCalls, "apart"),
]


@pytest.mark.parametrize(("name", "make", "reason"), PLANTED)
def test_a_planted_fault_is_caught(name, make, reason):
    subject = checks.Subject(make)
    with pytest.raises(checks.ProbeFailedError, match=reason):
        PROBES[name](subject)


def test_every_probe_has_a_planted_fault():
    assert {name for name, _, _ in PLANTED} == set(PROBES)


def test_a_fault_fails_its_own_probe_alone():
    failed = [outcome.name for outcome in checks.check(MixesTheBatch) if outcome.status == "failed"]
    assert failed == ["batch"]


@checks.parametrize(
    [
        layers.MultiHeadAttention(2, position=layers.Rotary(), name="sound"),
        layers.ConvolutionBlock(3),
        lambda: layers.TokenEmbedding(17, width=5),
    ]
)
def test_sound_layers_pass(subject, probe):
    probe(subject)


def test_the_decorator_makes_one_test_for_each_pair():
    mark = checks.parametrize([keras.layers.Dense(3), MixesTheBatch], probes=[PROBES["batch"], PROBES["causal"]]).mark
    assert mark.args[0] == ("subject", "probe")
    assert [parameter.id for parameter in mark.args[1]] == [
        "Dense-batch",
        "Dense-causal",
        "MixesTheBatch-batch",
        "MixesTheBatch-causal",
    ]
    dense, not_causal, mixing, _ = (parameter.values for parameter in mark.args[1])
    assert dense[1](dense[0]).status == "passed"
    with pytest.raises(pytest.skip.Exception, match="no argument `causal`"):
        not_causal[1](not_causal[0])
    with pytest.raises(AssertionError, match="MixesTheBatch: Rows of a batch do not affect each other: not so"):
        mixing[1](mixing[0])


def test_the_layer_that_is_handed_in_stays_as_it_is():
    layer = keras.layers.Dense(3)
    layer.build((None, 24))
    before = layer.get_weights()
    checks.check(layer, probes=[PROBES["batch"], PROBES["training"]])
    for a, b in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_names_the_weights_that_may_be_idle():
    class Excused(StopsAGradient):
        idle_weights = ("inner/kernel", "inner/bias")

    assert PROBES["training"].run(checks.Subject(lambda: Excused(5))).status == "passed"
    excused_alone = checks.Subject(lambda: layers.MultiHeadAttention(2))
    reason = PROBES["training"].run(excused_alone).reason
    assert reason == "" or "key/bias does not move, and no output depends on it" in reason


def functional(leak=False):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    mask = keras.Input((None,), dtype="bool", name="mask")
    x = keras.layers.Embedding(11, 8)(tokens)
    x = ReadsPadding(2)(x, mask=mask) if leak else layers.MultiHeadAttention(2)(x, mask=mask)
    return keras.Model([tokens, mask], keras.layers.Dense(3)(x))


@pytest.mark.parametrize("leak", [False, True])
def test_a_functional_model_is_fed_by_its_inputs(leak):
    names = ("padding", "batch", "shapes", "saving", "compiled")
    outcomes = checks.check(functional(leak), probes=[PROBES[name] for name in names])
    assert [o.name for o in outcomes if o.status != "passed"] == (["padding"] if leak else [])


def test_a_decoder_that_insists_on_a_memory_gets_one():
    subject = checks.Subject(lambda: DecoderBlock(2, feed_forward=5, cross_attention=2))
    assert {name: (kind.name, length) for name, (kind, length) in subject.kinds.items()} == {
        "inputs": ("sequence", 7),
        "memory": ("sequence", 5),
    }
    for name in ("causal", "padding", "cached"):
        outcome = PROBES[name](subject)
        assert outcome.status == "passed"
    assert "memory" in outcome.tried


def test_an_example_shows_what_to_feed():
    example = np.array([[[0.5, 2.0], [1.0, 3.0]]], "float32")
    subject = checks.Subject(keras.layers.Dense(3), example=example)
    drawn = subject.draw()["inputs"]
    assert drawn.shape == (3, 2, 2)
    assert {tuple(row) for row in drawn.reshape(-1, 2)} <= {(0.5, 2.0), (1.0, 3.0)}
    assert PROBES["batch"].run(subject).status == "passed"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: layers.FeedForward(5), "sequence"),
        (lambda: layers.TokenEmbedding(11, width=4), "tokens"),
        (lambda: layers.CharacterEmbedding(11, width=4), "characters"),
        (lambda: keras.layers.Conv2D(5, 3), "image"),
        (lambda: keras.layers.Reshape((80, 40)), "waveform"),
    ],
)
def test_the_kind_of_input_is_found(make, kind):
    (found,) = checks.Subject(make).kinds.values()
    assert found[0].name == kind


def test_a_layer_that_takes_nothing_known_says_what_was_tried():
    from suite.errors import InputError

    with pytest.raises(InputError, match=r"(?s)takes none of the known kinds.*sequence: .*waveform: "):
        _ = checks.Subject(keras.layers.Conv3D(3, 2)).layer
