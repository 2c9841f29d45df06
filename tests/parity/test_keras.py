"""`keras.layers.MultiHeadAttention`, with the same weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import MultiHeadAttention

B, T, S, H, W, V, D, E, F = 2, 11, 7, 3, 14, 5, 42, 13, 17  # the last three: widths of query, key and value
PEER = "keras.layers.MultiHeadAttention"
NAMES = {
    "query_projection": "query",
    "key_projection": "key",
    "value_projection": "value",
    "output_projection": "attention_output",
}


@pytest.mark.parametrize(
    ("masks", "use_bias"),
    [("none", True), ("causal", True), ("pair", True), ("padding", True), ("all", True), ("all", False)],
)
def test_self_attention(rng, compare, masks, use_bias):
    x = rng.normal(size=(B, T, D)).astype("float32")
    real = np.arange(T) < [[T], [5]]
    pair = rng.random((B, T, T)) < 0.6
    pair[..., 0] = True  # Keras gives a row that may read nothing other weights than zero
    ours, theirs = {}, {}
    if masks in ("causal", "all"):
        ours["causal"] = theirs["use_causal_mask"] = True
    if masks in ("pair", "all"):
        ours["pair_mask"] = theirs["attention_mask"] = pair
    if masks in ("padding", "all"):
        ours["mask"] = theirs["query_mask"] = theirs["value_mask"] = real
    layer = MultiHeadAttention(H, head_width=W, use_bias=use_bias)
    peer = keras.layers.MultiHeadAttention(H, W, use_bias=use_bias)
    compare(
        PEER,
        "self-attention"
        + f", {masks} mask" * (masks not in ("none", "all"))
        + ", all masks" * (masks == "all")
        + ", no biases" * (not use_bias),
        layer,
        peer,
        NAMES,
        [x],
        lambda x: layer(x, **ours),
        lambda x: peer(x, x, **theirs),
        real=real if "mask" in ours else None,
    )


@pytest.mark.parametrize("causal", [False, True])
def test_cross_attention_with_widths_of_its_own(rng, compare, causal):
    query, key, value = (rng.normal(size=shape).astype("float32") for shape in ((B, T, D), (B, S, E), (B, S, F)))
    real, pair = np.arange(S) < [[S], [2]], rng.random((B, T, S)) < 0.6
    pair[..., 0] = True
    layer, peer = MultiHeadAttention(H, head_width=W, value_width=V), keras.layers.MultiHeadAttention(H, W, V)
    compare(
        PEER,
        "cross-attention, key and pair mask" + ", causal" * causal,
        layer,
        peer,
        NAMES,
        [query, key, value],
        lambda q, k, v: layer(q, k, v, key_mask=real, pair_mask=pair, causal=causal),
        lambda q, k, v: (
            peer(  # on JAX its fused form, taken where no scores are asked for, refuses values of a width of their own
                q, v, k, key_mask=real, attention_mask=pair, use_causal_mask=causal, return_attention_scores=True
            )[0]
        ),
    )


def test_weights(rng, parity, copy_weights):
    query, key = (rng.normal(size=(B, n, D)).astype("float32") for n in (T, S))
    layer, peer = MultiHeadAttention(H, head_width=W), keras.layers.MultiHeadAttention(H, W)
    layer.build(query.shape, key.shape)
    peer.build(query.shape, key.shape)
    copy_weights(layer, peer, NAMES)
    _, weights = layer(query, key, return_weights=True)
    _, expected = peer(query, key, return_attention_scores=True)
    parity(PEER, "attention weights", weights, expected)
