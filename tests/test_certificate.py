"""A model that reads what it must not is found out before it trains, and gets no score."""

import keras
import numpy as np
import pytest
from keras import ops

from suite.certificate import certify
from suite.errors import RunError
from suite.task import Array, Encoded, Spec

SPEC = Spec(inputs={"tokens": Array((None,), "int32")}, target=Array((None,), "int32"))
LENGTHS = (3, 5, 8, 4, 6)


@pytest.fixture
def encoded():
    random = np.random.default_rng(3)
    rows = [random.integers(1, 30, size=length).astype("int32") for length in LENGTHS]
    return Encoded(inputs={"tokens": rows}, targets=rows)


class Sum(keras.layers.Layer):
    """Running sums of random vectors, which are causal, with a fault if wanted."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault

    def build(self, shape):
        self.table = self.add_weight(shape=(31, 4), initializer="random_normal")

    def call(self, tokens):
        x = ops.take(self.table, tokens, axis=0)  # (B, T, 4)
        y = ops.cumsum(x * ops.cast(tokens != 0, "float32")[..., None], axis=1)
        if self.fault == "padding":
            y = y + ops.mean(x, axis=1, keepdims=True)
        if self.fault == "batch":
            y = y - ops.mean(y, axis=0, keepdims=True)
        if self.fault == "causal":
            y = (
                y
                + ops.sum(
                    ops.cast(tokens, "float32") ** 2 * ops.cast(ops.arange(ops.shape(tokens)[1]), "float32") / 1e3, -1
                )[:, None, None]
            )
        return y


def model(fault=""):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    return keras.Model({"tokens": tokens}, Sum(fault)(tokens))


def test_a_sound_model_passes_what_applies_to_it(encoded):
    assert certify(model(), encoded, SPEC) == ("padding", "batch")
    assert certify(model(), encoded, SPEC, causal="tokens") == ("padding", "batch", "causal")


@pytest.mark.parametrize("fault", ["padding", "batch", "causal"])
def test_a_faulty_model_is_named_by_its_fault(encoded, fault):
    with pytest.raises(RunError, match=f"probe '{fault}' failed before training"):
        certify(model(fault), encoded, SPEC, causal="tokens")


def test_a_single_example_and_one_without_padded_axes_are_enough(encoded):
    one = Encoded(inputs={"tokens": encoded.inputs["tokens"][:1]}, targets=encoded.targets[:1])
    assert certify(model(), one, SPEC) == ("padding",)
    spec = Spec(inputs={"x": Array((2,), "float32")}, target=Array((), "int32"))
    x = keras.Input((2,), name="x")
    points = Encoded(inputs={"x": list(np.eye(4, 2, dtype="float32"))}, targets=[np.int32(0)] * 4)
    assert certify(keras.Model({"x": x}, keras.layers.Dense(3)(x)), points, spec) == ("batch",)


def test_a_number_that_is_none_is_no_pass(encoded):
    bad = model()
    bad.layers[1].table.assign(np.full((31, 4), np.nan))
    with pytest.raises(RunError, match="padding"):
        certify(bad, encoded, SPEC)
