from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.relative import RelativeAttention

B, T, S, D, H, W = 2, 5, 7, 11, 3, 4  # batch, queries, keys, width, heads, head width


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


def heads(dense, x) -> np.ndarray:
    return numpy(dense(x)).reshape(*x.shape[:2], H, W).transpose(0, 2, 1, 3)


def reference(layer, query, key, distances):
    """The weights, from a table of distances (B, T, S)."""
    q, k = heads(layer.query_projection, query), heads(layer.key_projection, key)
    width = numpy(layer.position_projection).shape[-1] if layer.project else W
    angles = distances[..., None] / 10_000 ** (np.arange(0, width, 2) / width)
    table = np.concatenate([np.sin(angles), np.cos(angles)], -1)  # (B, T, S, P)
    projection = numpy(layer.position_projection) if layer.project else np.stack([np.eye(W)] * H)
    r = np.einsum("hwp,btsp->bhtsw", projection, table)
    u, v = numpy(layer.content_bias)[:, None], numpy(layer.position_bias)[:, None]
    scores = (q + u) @ k.transpose(0, 1, 3, 2) + np.einsum("bhtw,bhtsw->bhts", q + v, r)
    weights = np.exp(scores * (W**-0.5 if layer.scale is None else layer.scale))
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("options", [{}, {"project": False, "scale": 1.0}])
def test_it_equals_the_formula_at_any_positions(options, rng):
    query, key = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S))
    layer = RelativeAttention(H, head_width=W, **options)
    layer.build(query.shape, key.shape)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.5))
    at, key_at = rng.integers(0, 50, (B, T)), rng.integers(0, 50, (B, S))
    _, weights = layer(query, key, positions=at, key_positions=key_at, return_weights=True)
    expected = reference(layer, query, key, at[:, :, None] - key_at[:, None])
    np.testing.assert_allclose(numpy(weights), expected, atol=1e-5)


def test_where_all_stand_alike_does_not_matter_but_their_order_does(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer = RelativeAttention(H, head_width=W)
    here = numpy(layer(x))
    np.testing.assert_allclose(here, numpy(layer(x, positions=np.arange(T) + 2100)), atol=1e-3)
    assert np.abs(here - numpy(layer(x, positions=np.arange(T)[::-1].copy()))).max() > 1e-2


def test_the_bias_of_a_call_is_added_and_may_close(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    bias = np.where(np.tri(T, dtype=bool), 0.0, -np.inf).astype("float32")
    layer = RelativeAttention(H, head_width=W)
    np.testing.assert_allclose(numpy(layer(x, bias=bias)), numpy(layer(x, causal=True)), atol=1e-6)


def test_without_projection_and_with_silent_queries_it_is_plain_attention(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    ours, plain = RelativeAttention(H, head_width=W), MultiHeadAttention(H, head_width=W)
    for layer in (ours, plain):
        layer.build(x.shape)
    ours.position_projection.assign(np.zeros(ours.position_projection.shape))
    plain.set_weights([w for w in ours.get_weights() if w.shape not in ((H, W), ours.position_projection.shape)])
    np.testing.assert_allclose(numpy(ours(x)), numpy(plain(x)), atol=1e-5)


def test_an_odd_head_width_needs_a_projection():
    with pytest.raises(ValueError, match=r"even head width.*Received: head width 5"):
        RelativeAttention(2, project=False).build((B, T, 10))


def test_one_head_reads_each_row_of_a_batch_as_if_it_were_alone():
    """TensorFlow's product of many rows of one head with one matrix writes where it should not."""
    x = np.random.default_rng(5).normal(size=(5, 23, 22)).astype("float32")
    layer = RelativeAttention(1)
    together = ops.convert_to_numpy(layer(x))
    alone = np.concatenate([ops.convert_to_numpy(layer(row[None])) for row in x])
    np.testing.assert_allclose(together, alone, atol=2e-5)
