from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.linear import LinearAttention

B, T, S, D = 2, 263, 11, 10  # three blocks of 128 queries


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


def heads(dense, x) -> np.ndarray:
    return numpy(dense(x)).reshape(*x.shape[:2], 2, 5).transpose(0, 2, 1, 3)


def reference(layer, query, key, allowed, feature):
    """Linear attention in NumPy, with its weights; `allowed` broadcasts to (B, H, T, S)."""
    q, k = feature(heads(layer.query_projection, query)), feature(heads(layer.key_projection, key))
    weights = np.where(allowed, q @ k.transpose(0, 1, 3, 2), 0)
    weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    context = (weights @ heads(layer.value_projection, key)).transpose(0, 2, 1, 3).reshape(*query.shape[:2], 10)
    return numpy(layer.output_projection(context.astype("float32"))), weights


def elu(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


@pytest.mark.parametrize("causal", [False, True])
def test_it_equals_the_formula(causal, rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    mask = np.arange(T) < [[T], [200]]
    layer = LinearAttention(2)
    output, weights = layer(x, mask=mask, causal=causal, return_weights=True)
    allowed = mask[:, None, :, None] & mask[:, None, None] & (np.tri(T, dtype=bool) if causal else True)
    expected, expected_weights = reference(layer, x, x, allowed, elu)
    np.testing.assert_allclose(numpy(output), expected, atol=1e-5)
    np.testing.assert_allclose(numpy(weights), expected_weights, atol=1e-5)


def test_a_memory_and_another_feature_map(rng):
    x, memory = (rng.normal(size=(B, n, D)).astype("float32") for n in (7, S))
    layer = LinearAttention(2, feature_map="softplus")
    key_mask = np.arange(S) < [[S], [3]]
    expected, _ = reference(layer, *build(layer, x, memory), key_mask[:, None, None], lambda x: np.log1p(np.exp(x)))
    np.testing.assert_allclose(numpy(layer(x, memory, key_mask=key_mask)), expected, atol=1e-5)


def build(layer, x, memory):
    layer.build(x.shape, memory.shape)
    return x, memory


@keras.saving.register_keras_serializable(package="test")
def squared(x):
    return x * x


def test_a_function_as_feature_map_comes_back_from_the_configuration():
    layer = LinearAttention(2, feature_map=squared)
    assert LinearAttention.from_config(layer.get_config()).feature_map is squared


def test_a_query_without_features_reads_all_alike():
    layer = LinearAttention(1, feature_map="relu", use_bias=False)
    layer.build((1, 3, 2))
    for projection in (layer.query_projection, layer.key_projection):
        projection.kernel.assign(-np.eye(2))
    _, weights = layer(np.ones((1, 3, 2), "float32"), return_weights=True)
    np.testing.assert_allclose(numpy(weights), 1 / 3, atol=1e-6)


class Scored(LinearAttention):
    def score(self, query, key):
        return super().score(query, key)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: LinearAttention(2, window=3), "window"),
        (lambda: LinearAttention(2, soft_cap=3.0, scale=1.0), "soft_cap, scale"),
        (lambda: LinearAttention(2, position=layers.RelativeBias()), "position"),
        (lambda: Scored(2), "score"),
        (lambda: LinearAttention(2)(np.ones((1, 3, 4), "float32"), bias=np.zeros((3, 3), "float32")), "bias"),
        (lambda: LinearAttention(2)(np.ones((1, 3, 4), "float32"), pair_mask=np.ones((3, 3), bool)), "pair_mask"),
    ],
)
def test_what_changes_single_weights_is_refused(make, named):
    with pytest.raises(ValueError, match=f"expects nothing that changes single weights.*\\s*.*Received: {named}"):
        make()
