from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.talking_heads import TalkingHeadsAttention

B, T, S, D, H, W = 2, 5, 7, 11, 3, 4  # batch, queries, keys, width, heads, head width


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


def test_it_equals_the_formula(rng):
    query, key = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S))
    pair_mask = rng.random((B, H, T, S)) < 0.7
    layer = TalkingHeadsAttention(H, head_width=W)
    layer.build(query.shape, key.shape)
    for mix in (layer.mix_before, layer.mix_after):
        mix.assign(rng.normal(size=(H, H)))
    _, weights = layer(query, key, pair_mask=pair_mask, return_weights=True)
    q, k = (
        numpy(dense(x)).reshape(B, -1, H, W).transpose(0, 2, 1, 3)
        for dense, x in ((layer.query_projection, query), (layer.key_projection, key))
    )
    scores = np.einsum("hg,bgts->bhts", numpy(layer.mix_before), q @ k.transpose(0, 1, 3, 2) / np.sqrt(W))
    inner = np.where(pair_mask, np.exp(scores), 0)
    inner = inner / np.maximum(inner.sum(-1, keepdims=True), 1e-30)
    expected = np.where(pair_mask, np.einsum("hg,bgts->bhts", numpy(layer.mix_after), inner), 0)
    np.testing.assert_allclose(numpy(weights), expected, atol=1e-5)


def test_it_begins_as_plain_attention(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    ours, plain = TalkingHeadsAttention(H, head_width=W), MultiHeadAttention(H, head_width=W)
    for layer in (ours, plain):
        layer.build(x.shape)
    plain.set_weights([w for w in ours.get_weights() if w.shape != (H, H)])
    np.testing.assert_allclose(numpy(ours(x, causal=True)), numpy(plain(x, causal=True)), atol=1e-5)
