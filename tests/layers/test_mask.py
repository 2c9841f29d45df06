"""The one value that holds every mask, against plain NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from suite import layers
from suite.layers.arguments import check_mask

B, H, T, S = 2, 3, 5, 7


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


@st.composite
def masks(draw):
    """Any combination of fields: a dictionary of NumPy arrays and numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fields = {
        "query": rng.random((B, T)) < 0.7,
        "key": rng.random((B, S)) < 0.7,
        "pair": rng.random(draw(st.sampled_from([(T, S), (B, T, S), (B, H, T, S)]))) < 0.7,
        "causal": True,
        "window": draw(st.integers(1, 9)),
        "bias": np.where(rng.random((H, T, S)) < 0.2, -np.inf, rng.normal(size=(H, T, S))).astype("float32"),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(fields))))
    start = draw(st.integers(0, 3))
    return {name: fields[name] for name in chosen}, start


def open_pairs(fields, start):
    """Where something may be read, (B, H, T, S), entry by entry; queries stand `start` positions further on."""
    open_ = np.ones((B, H, T, S), bool)
    for b, h, t, s in np.ndindex(open_.shape):
        pair, bias = fields.get("pair"), fields.get("bias")
        open_[b, h, t, s] = (
            ("query" not in fields or fields["query"][b, t])
            and ("key" not in fields or fields["key"][b, s])
            and (pair is None or pair[(b, h, t, s)[4 - pair.ndim :] if pair.ndim != 3 else (b, t, s)])
            and ("causal" not in fields or s <= t + start)
            and ("window" not in fields or abs(t + start - s) < fields["window"])
            and (bias is None or bias[h, t, s] > -1e30)
        )
    return open_


def mask_of(fields, start):
    places = np.arange(T) + start
    return layers.AttentionMask.between(T, S, query_positions=places, query_order=places, **tensors(fields))


def tensors(fields):
    return {k: ops.convert_to_tensor(v) if isinstance(v, np.ndarray) else v for k, v in fields.items()}


@settings(max_examples=60, deadline=None)
@given(masks())
def test_every_combination_of_fields_allows_what_all_of_them_allow(drawn):
    fields, start = drawn
    allowed = mask_of(fields, start).allowed()
    expected = open_pairs(fields, start)
    if allowed is None:
        assert expected.all()
    else:
        np.testing.assert_array_equal(np.broadcast_to(ops.convert_to_numpy(allowed), expected.shape), expected)


@settings(max_examples=40, deadline=None)
@given(masks(), st.sampled_from(["float32", "bfloat16", "float16"]))
def test_softmax_equals_the_formula_and_gives_zero_to_a_closed_row(drawn, dtype):
    fields, start = drawn
    scores = ops.cast(np.random.default_rng(3).normal(size=(B, H, T, S)) * 30, dtype)
    weights = numpy(mask_of(fields, start).softmax(scores))
    bias = np.maximum(fields.get("bias", 0), -1e30)
    e = np.exp(numpy(scores).astype("float64") + bias) * open_pairs(fields, start)
    np.testing.assert_allclose(weights, e / np.maximum(e.sum(-1, keepdims=True), 1e-200), atol=1e-5)
    closed = ~open_pairs(fields, start).any(-1)
    assert np.all(weights[closed] == 0)


@settings(max_examples=40, deadline=None)
@given(masks(), st.integers(0, T - 2), st.integers(0, S - 3))
def test_a_block_is_that_rectangle_of_the_whole(drawn, t, s):
    fields, start = drawn
    part = mask_of(fields, start).block(queries=(ops.convert_to_tensor(t), 2), keys=(ops.convert_to_tensor(s), 3))
    expected = open_pairs(fields, start)[:, :, t : t + 2, s : s + 3]
    allowed = part.allowed()
    if allowed is not None:
        np.testing.assert_array_equal(np.broadcast_to(ops.convert_to_numpy(allowed), expected.shape), expected)
    if "bias" in fields:
        whole = np.maximum(fields["bias"], -1e30)
        np.testing.assert_allclose(np.squeeze(numpy(part.scores_bias())), whole[:, t : t + 2, s : s + 3], rtol=1e-6)


def test_the_bias_of_a_position_is_asked_for_the_block_alone():
    asked = []

    class Recorder(layers.Position):
        def bias(self, query_positions, key_positions):
            asked.append((ops.convert_to_numpy(query_positions).tolist(), ops.convert_to_numpy(key_positions).tolist()))

    layers.AttentionMask.between(T, S, position=Recorder()).block(queries=(1, 2), keys=(3, 4)).scores_bias()
    assert asked == [([1, 2], [3, 4, 5, 6])]


def test_a_score_that_float16_cannot_hold_stays_finite():
    scores = np.array([[[[np.inf, 1.0, -np.inf]]]], "float16")
    weights = numpy(layers.AttentionMask.between(1, 3).softmax(ops.convert_to_tensor(scores)))
    np.testing.assert_array_equal(weights[0, 0, 0], [1, 0, 0])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            np.ones((B, 6), bool),
            r"FeedForward expects m to be boolean of shape \(2, 5\)\. Received: bool of shape \(2, 6\)",
        ),
        (np.ones((B, T), "int32"), r"boolean of shape \(2, 5\)\. Received: int32 of shape \(2, 5\)"),
        (np.ones(T, bool), r"Received: bool of shape \(5,\)"),
    ],
)
def test_a_mask_of_a_wrong_shape_or_type_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        check_mask(layers.FeedForward(1), "m", mask, (B, T))


def test_unknown_sizes_fit():
    check_mask(layers.FeedForward(1), "m", keras.KerasTensor((None, T), "bool"), (B, None))
