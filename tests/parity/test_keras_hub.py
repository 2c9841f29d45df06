"""KerasHub's modelling layers, with the same weights."""

from __future__ import annotations

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

from suite.layers import (
    Alibi,
    AttentionMask,
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    LinearScaling,
    Rotary,
    Sinusoidal,
)

B, T, S, H, D, F = 2, 11, 7, 3, 42, 53
NORM = keras.layers.LayerNormalization(epsilon=1e-5)
ATTENTION = {"query_projection": "query", "key_projection": "key", "value_projection": "value"}
FEED_FORWARD = {
    "feed_forward.inner": "feedforward_intermediate_dense",
    "feed_forward.outer": "feedforward_output_dense",
}
ENCODER = {
    **{f"attention.{ours}": f"self_attention_layer.{theirs}" for ours, theirs in ATTENTION.items()},
    "attention.output_projection": "self_attention_layer.attention_output",
    "residuals.0.norm": "self_attention_layer_norm",
    **FEED_FORWARD,
    "residuals.1.norm": "feedforward_layer_norm",
}
DECODER = {
    **{f"attention.{ours}": f"self_attention.{theirs}" for ours, theirs in ATTENTION.items()},
    "attention.output_projection": "self_attention.attention_output",
    "residuals.0.norm": "self_attention_layer_norm",
    **FEED_FORWARD,
    "residuals.1.norm": "feedforward_layer_norm",
}
CROSS = {
    **DECODER,
    **{f"cross_attention.{ours}": f"cross_attention.{theirs}" for ours, theirs in ATTENTION.items()},
    "cross_attention.output_projection": "cross_attention.attention_output",
    "residuals.1.norm": "cross_attention_layer_norm",
    "residuals.2.norm": "feedforward_layer_norm",
}


@pytest.fixture
def x(rng):
    return rng.normal(size=(B, T, D)).astype("float32")


@pytest.fixture
def memory(rng):
    return rng.normal(size=(B, S, D)).astype("float32")


@pytest.mark.parametrize(("placement", "activation"), [("pre", "gelu"), ("post", "relu")])
def test_encoder(rng, x, compare, placement, activation):
    real, pair = np.arange(T) < [[T], [5]], rng.random((B, T, T)) < 0.6
    pair[..., 0] = True  # what may read nothing is uniform in KerasHub and zero here
    block = EncoderBlock(H, feed_forward=FeedForward(F, activation=activation), norm=NORM, placement=placement)
    peer = keras_hub.layers.TransformerEncoder(
        F, H, activation=keras.activations.get(activation), normalize_first=placement == "pre"
    )
    compare(
        "keras_hub.layers.TransformerEncoder",
        f"{placement}-norm, {activation}, padding and pair mask",
        block,
        peer,
        ENCODER,
        [x],
        lambda x: block(x, mask=real, pair_mask=pair),
        lambda x: peer(x, padding_mask=real, attention_mask=pair),
        real=real,
    )


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_decoder(x, compare, placement):
    real = np.arange(T) < [[T], [5]]
    block = DecoderBlock(H, feed_forward=F, norm=NORM, placement=placement)
    peer = keras_hub.layers.TransformerDecoder(F, H, normalize_first=placement == "pre")
    compare(
        "keras_hub.layers.TransformerDecoder",
        f"{placement}-norm, causal and padding mask",
        block,
        peer,
        DECODER,
        [x],
        lambda x: block(x, mask=real),
        lambda x: peer(x, decoder_padding_mask=real),
        real=real,
    )


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_decoder_with_a_memory(x, memory, compare, placement):
    real, real_memory = np.arange(T) < [[T], [5]], np.arange(S) < [[3], [S]]
    block = DecoderBlock(H, feed_forward=F, cross_attention=H, norm=NORM, placement=placement)
    peer = keras_hub.layers.TransformerDecoder(F, H, normalize_first=placement == "pre")
    compare(
        "keras_hub.layers.TransformerDecoder",
        f"{placement}-norm, cross-attention, all masks",
        block,
        peer,
        CROSS,
        [x, memory],
        lambda x, memory: block(x, memory, mask=real, memory_mask=real_memory),
        lambda x, memory: peer(x, memory, decoder_padding_mask=real, encoder_padding_mask=real_memory),
        real=real,
    )


@pytest.mark.parametrize("crossing", [False, True])
def test_decoder_caches(x, memory, parity, copy_weights, crossing):
    block = DecoderBlock(H, feed_forward=F, cross_attention=H if crossing else None, norm=NORM)
    peer = keras_hub.layers.TransformerDecoder(F, H, normalize_first=True)
    shapes = (x.shape, memory.shape) if crossing else (x.shape,)
    block.build(*shapes)
    peer.build(*shapes)
    copy_weights(block, peer, CROSS if crossing else DECODER)
    ours = block.make_cache(B, T, memory=memory if crossing else None)
    theirs = ops.zeros((B, 2, T, H, D // H))
    crossed = {"cross_attention_cache": ops.zeros((B, 2, S, H, D // H)), "cross_attention_cache_update_index": 0}
    name = "cached, token by token" + " with cross-attention" * crossing
    for t in range(T):
        token = x[:, t : t + 1]
        output, ours = block(token, cache=ours)
        expected, theirs, *_ = peer(
            token,
            memory if crossing else None,
            self_attention_cache=theirs,
            self_attention_cache_update_index=t,
            **(crossed if crossing else {}),
        )
        parity("keras_hub.layers.TransformerDecoder", f"{name}: outputs", output, expected)
    kept = ops.stack([ours.self_attention.key, ours.self_attention.value], axis=1)  # (B, 2, H, T, W)
    parity("keras_hub.layers.TransformerDecoder", f"{name}: cache", ops.swapaxes(kept, 2, 3), theirs)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_rotary(rng, compare, factor):
    x = rng.normal(size=(B, T, H, 14)).astype("float32")
    positions = rng.integers(0, 100, size=(B, T))  # far out, float32 angles differ by the rounding of a frequency
    layer = Rotary(scaling=LinearScaling(factor=factor))
    peer = keras_hub.layers.RotaryEmbedding(scaling_factor=factor)
    compare(
        "keras_hub.layers.RotaryEmbedding",
        "positions of their own" + ", scaled" * (factor != 1),
        layer,
        peer,
        {},
        [x],
        lambda x: ops.swapaxes(layer.rotate(ops.swapaxes(x, 1, 2), positions), 1, 2),
        lambda x: peer(x, positions=positions),
    )


def test_sinusoidal(x, compare):
    layer, peer = Sinusoidal(), keras_hub.layers.SinePositionEncoding()
    compare(
        "keras_hub.layers.SinePositionEncoding",
        "an offset",
        layer,
        peer,
        {},
        [x],
        lambda x: layer(x, positions=np.arange(5, 5 + T)),
        lambda x: x + peer(x, start_index=5),
    )


@pytest.mark.parametrize("heads", [3, 4])
def test_alibi(rng, compare, heads):
    """Theirs counts from the last key, which shifts each row and drops out of a causal softmax."""
    scores = rng.normal(size=(B, heads, T, T)).astype("float32")
    position, peer = Alibi(), keras_hub.layers.AlibiBias()
    position.build((B, heads, T, 14))
    mask = AttentionMask.between(T, T, causal=True, position=position)
    compare(
        "keras_hub.layers.AlibiBias",
        f"causal weights, {heads} heads",
        position,
        peer,
        {},
        [scores],
        mask.softmax,
        lambda x: ops.softmax(ops.where(np.tri(T, dtype=bool), peer(x), -1e9)),
    )
