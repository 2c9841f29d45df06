"""PyTorch's own attention and Transformer layers, with the same weights, on any backend."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import DecoderBlock, EncoderBlock, FeedForward, MultiHeadAttention

torch = pytest.importorskip("torch", reason="parity with PyTorch needs PyTorch")

B, T, S, H, D, F = 2, 11, 7, 3, 42, 53
NORM = keras.layers.LayerNormalization(epsilon=1e-5)
PROJECTIONS = ("query_projection", "key_projection", "value_projection")


def attention_names(ours: str = "", theirs: str = "") -> dict:
    return {
        tuple(f"{ours}{one}" for one in PROJECTIONS): f"{theirs}in_proj",
        f"{ours}output_projection": f"{theirs}out_proj",
    }


ENCODER = {
    **attention_names("attention.", "self_attn."),
    "residuals.0.norm": "norm1",
    "feed_forward.inner": "linear1",
    "feed_forward.outer": "linear2",
    "residuals.1.norm": "norm2",
}
DECODER = {
    **ENCODER,
    **attention_names("cross_attention.", "multihead_attn."),
    "residuals.2.norm": "norm3",
}


@pytest.fixture
def x(rng):
    return rng.normal(size=(B, T, D)).astype("float32")


@pytest.fixture
def memory(rng):
    return rng.normal(size=(B, S, D)).astype("float32")


def closed(mask: np.ndarray):
    """PyTorch's masks are True where nothing may be read."""
    return torch.tensor(~mask)


@pytest.mark.parametrize("use_bias", [True, False])
def test_self_attention(rng, x, compare, randomize, use_bias):
    real, pair = np.arange(T) < [[T], [5]], rng.random((B, H, T, T)) < 0.6
    pair[..., 0] = True  # what may read nothing is NaN in PyTorch and zero here
    layer = MultiHeadAttention(H, use_bias=use_bias)
    peer = randomize(torch.nn.MultiheadAttention(D, H, bias=use_bias, batch_first=True))
    forbidden = closed(pair & np.tri(T, dtype=bool)).flatten(0, 1)  # (B * H, T, T)
    compare(
        "torch.nn.MultiheadAttention",
        "self-attention, all masks" + ", no biases" * (not use_bias),
        layer,
        peer,
        attention_names(),
        [x],
        lambda x: layer(x, mask=real, pair_mask=pair, causal=True),
        lambda x: peer(x, x, x, key_padding_mask=closed(real), attn_mask=forbidden, need_weights=False)[0],
        real=real,
    )


def test_cross_attention_with_widths_of_its_own(rng, x, compare, randomize):
    key, value = (rng.normal(size=(B, S, width)).astype("float32") for width in (13, 17))
    real, pair = np.arange(S) < [[S], [2]], rng.random((T, S)) < 0.6
    pair[..., 0] = True
    layer = MultiHeadAttention(H, use_bias=False)
    peer = randomize(torch.nn.MultiheadAttention(D, H, bias=False, kdim=13, vdim=17, batch_first=True))
    compare(
        "torch.nn.MultiheadAttention",
        "cross-attention, key and pair mask",
        layer,
        peer,
        {**dict(zip(PROJECTIONS, ("q_proj", "k_proj", "v_proj"), strict=True)), "output_projection": "out_proj"},
        [x, key, value],
        lambda q, k, v: layer(q, k, v, key_mask=real, pair_mask=pair),
        lambda q, k, v: peer(q, k, v, key_padding_mask=closed(real), attn_mask=closed(pair))[0],
    )


def test_weights(x, memory, parity, copy_weights, randomize):
    layer, peer = MultiHeadAttention(H), randomize(torch.nn.MultiheadAttention(D, H, batch_first=True))
    layer.build(x.shape, memory.shape)
    copy_weights(layer, peer, attention_names())
    _, weights = layer(x, memory, return_weights=True)
    memory = torch.tensor(memory)
    _, expected = peer(torch.tensor(x), memory, memory, average_attn_weights=False)
    parity("torch.nn.MultiheadAttention", "attention weights", weights, expected)


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder(x, compare, randomize, placement, activation):
    real = np.arange(T) < [[T], [5]]
    block = EncoderBlock(H, feed_forward=FeedForward(F, activation=activation), norm=NORM, placement=placement)
    peer = torch.nn.TransformerEncoderLayer(
        D, H, F, dropout=0.0, activation=activation, batch_first=True, norm_first=placement == "pre"
    )
    compare(
        "torch.nn.TransformerEncoderLayer",
        f"{placement}-norm, {activation}, padding mask",
        block,
        randomize(peer),
        ENCODER,
        [x],
        lambda x: block(x, mask=real),
        lambda x: peer(x, src_key_padding_mask=closed(real)),
        real=real,
    )


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_decoder(x, memory, compare, randomize, placement):
    real, real_memory = np.arange(T) < [[T], [5]], np.arange(S) < [[3], [S]]
    block = DecoderBlock(H, feed_forward=F, cross_attention=H, norm=NORM, placement=placement)
    peer = torch.nn.TransformerDecoderLayer(D, H, F, dropout=0.0, batch_first=True, norm_first=placement == "pre")
    compare(
        "torch.nn.TransformerDecoderLayer",
        f"{placement}-norm, all masks",
        block,
        randomize(peer),
        DECODER,
        [x, memory],
        lambda x, memory: block(x, memory, mask=real, memory_mask=real_memory),
        lambda x, memory: peer(
            x,
            memory,
            tgt_mask=closed(np.tri(T, dtype=bool)),
            tgt_key_padding_mask=closed(real),
            memory_key_padding_mask=closed(real_memory),
        ),
        real=real,
    )
