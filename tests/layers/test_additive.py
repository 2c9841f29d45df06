from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers.additive import AdditiveAttention

B, T, S, D, H, W = 2, 5, 7, 11, 3, 4  # batch, queries, keys, width, heads, head width


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


@pytest.mark.parametrize("scale", [None, 3.0])
def test_it_equals_the_formula(scale):
    rng = np.random.default_rng(17)
    query, key = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S))
    layer = AdditiveAttention(H, head_width=W, scale=scale)
    _, weights = layer(query, key, return_weights=True)
    q, k = (
        numpy(dense(x)).reshape(B, -1, H, W).transpose(0, 2, 1, 3)
        for dense, x in ((layer.query_projection, query), (layer.key_projection, key))
    )
    network = np.tanh(q[:, :, :, None] + k[:, :, None])
    scores = np.einsum("bhtsw,hw->bhts", network, numpy(layer.score_vector)) * (scale or 1)
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(numpy(weights), expected, atol=1e-6)


def test_one_head_reads_each_row_of_a_batch_as_if_it_were_alone():
    x = np.random.default_rng(5).normal(size=(5, 23, 22)).astype("float32")
    layer = AdditiveAttention(1)
    together = ops.convert_to_numpy(layer(x))
    alone = np.concatenate([ops.convert_to_numpy(layer(row[None])) for row in x])
    np.testing.assert_allclose(together, alone, atol=2e-5)
