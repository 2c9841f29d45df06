"""T5, rebuilt from our layers: a bias for each bucket of distance, RMS norm, and neither biases nor scaled scores."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import (
    Decoder,
    DecoderBlock,
    Encoder,
    EncoderBlock,
    EncoderDecoder,
    FeedForward,
    MultiHeadAttention,
    RelativeBias,
    TokenEmbedding,
)

torch = pytest.importorskip("torch", reason="parity with Hugging Face's models needs PyTorch")
transformers = pytest.importorskip("transformers", reason="parity with Hugging Face's models needs transformers")

B, S, T = 2, 29, 23
PEER = "transformers.T5ForConditionalGeneration"
ATTENTION = {"query_projection": "q", "key_projection": "k", "value_projection": "v", "output_projection": "o"}
FEED_FORWARD = {
    "relu": {"inner": "wi", "outer": "wo"},
    "gated-gelu": {"gate": "wi_0", "inner": "wi_1", "outer": "wo"},
}


def weights(feed_forward_proj: str) -> dict[str, str]:
    ours = {"encoder": "encoder.blocks.{n}", "decoder": "language_model.decoder.blocks.{n}"}
    names = {
        "embedding": "shared",
        "encoder.position": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
        "encoder.final_norm": "encoder.final_layer_norm",
        "language_model.decoder.position": "decoder.block.0.layer.0.SelfAttention.relative_attention_bias",
        "language_model.decoder.final_norm": "decoder.final_layer_norm",
    }
    for side, block in ours.items():
        branches = ["SelfAttention", *["EncDecAttention"] * (side == "decoder"), "DenseReluDense"]
        for i, branch in enumerate(branches):
            names[f"{block}.residuals.{i}.norm"] = f"{side}.block.{{n}}.layer.{i}.layer_norm"
            part = {"SelfAttention": "attention", "EncDecAttention": "cross_attention"}.get(branch, "feed_forward")
            inside = FEED_FORWARD[feed_forward_proj] if part == "feed_forward" else ATTENTION
            for mine, other in inside.items():
                names[f"{block}.{part}.{mine}"] = f"{side}.block.{{n}}.layer.{i}.{branch}.{other}"
    return names


class ScaledLogits(TokenEmbedding):
    """The first T5 divides what it ties by the root of the width; version 1.1 does not."""

    def logits(self, hidden):
        return super().logits(hidden * self.width**-0.5)


def t5(c: transformers.T5Config) -> EncoderDecoder:
    def attention() -> MultiHeadAttention:
        return MultiHeadAttention(c.num_heads, head_width=c.d_kv, use_bias=False, scale=1.0)

    def bias(*, bidirectional: bool) -> RelativeBias:
        buckets, far = c.relative_attention_num_buckets, c.relative_attention_max_distance
        return RelativeBias(buckets=buckets, max_distance=far, bidirectional=bidirectional)

    activation = {"gelu_new": "gelu_tanh"}.get(c.dense_act_fn, c.dense_act_fn)
    shared = {
        "feed_forward": FeedForward(c.d_ff, activation=activation, gated=c.is_gated_act, use_bias=False),
        "norm": keras.layers.RMSNormalization(epsilon=c.layer_norm_epsilon),
    }
    encoder = Encoder(c.num_layers, EncoderBlock(attention(), **shared), position=bias(bidirectional=True))
    block = DecoderBlock(attention(), cross_attention=attention(), **shared)
    decoder = Decoder(c.num_decoder_layers, block, position=bias(bidirectional=False))
    embedding = (ScaledLogits if c.scale_decoder_outputs else TokenEmbedding)(c.vocab_size, width=c.d_model)
    return EncoderDecoder(embedding, encoder, decoder)


@pytest.mark.parametrize(("version", "feed_forward_proj"), [("1.0", "relu"), ("1.1", "gated-gelu")])
def test_t5(rng, parity, copy_weights, randomize, in_steps, compiled, version, feed_forward_proj):
    config = transformers.T5Config(
        vocab_size=97,
        d_model=42,
        d_kv=10,
        d_ff=53,
        num_layers=2,
        num_heads=3,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=17,
        feed_forward_proj=feed_forward_proj,
        tie_word_embeddings=version == "1.0",
        attn_implementation="eager",
    )
    ours, theirs = t5(config), randomize(transformers.T5ForConditionalGeneration(config))
    for name, parameter in theirs.named_parameters():
        if name.endswith(".q.weight"):  # smaller from the start in T5, in place of scaled scores
            parameter.data *= config.d_kv**-0.5
    ours.build((B, S), (B, T))
    copy_weights(ours, theirs, weights(feed_forward_proj), depth=config.num_layers)
    source, target = rng.integers(2, 97, size=(B, S)), rng.integers(2, 97, size=(B, T))
    mask, target_mask = np.arange(S) < [[19], [S]], np.arange(T) < [[T], [13]]
    with torch.no_grad():
        expected = theirs(
            input_ids=torch.tensor(source),
            attention_mask=torch.tensor(mask.astype(int)),
            decoder_input_ids=torch.tensor(target),
            decoder_attention_mask=torch.tensor(target_mask.astype(int)),
        )
    memory = compiled(ours.encode)(source, mask=mask)
    parity(PEER, f"version {version}, memory", memory, expected.encoder_last_hidden_state, real=mask)
    logits = compiled(ours)(source, target, mask=mask, target_mask=target_mask)
    parity(PEER, f"version {version}, logits", logits, expected.logits, real=target_mask)
    cache = ours.make_cache(B, T, memory=memory, memory_mask=mask)
    cached = in_steps(ours.decode, target, cache, (16, *[1] * 7), mask=target_mask)
    parity(PEER, f"version {version}, logits with a cache", cached, expected.logits, real=target_mask)
