"""Llama, rebuilt from our layers: rotary positions, grouped queries, SwiGLU, RMS norm and no biases."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import (
    Decoder,
    DecoderBlock,
    FeedForward,
    LanguageModel,
    LinearScaling,
    Llama3Scaling,
    MultiHeadAttention,
    Rotary,
    RotaryScaling,
    TokenEmbedding,
    YaRNScaling,
)

torch = pytest.importorskip("torch", reason="parity with Hugging Face's models needs PyTorch")
transformers = pytest.importorskip("transformers", reason="parity with Hugging Face's models needs transformers")

B, T = 2, 23
PEER = "transformers.LlamaForCausalLM"
WEIGHTS = {
    "embedding": "model.embed_tokens",
    "decoder.blocks.{n}.residuals.0.norm": "model.layers.{n}.input_layernorm",
    "decoder.blocks.{n}.attention.query_projection": "model.layers.{n}.self_attn.q_proj",
    "decoder.blocks.{n}.attention.key_projection": "model.layers.{n}.self_attn.k_proj",
    "decoder.blocks.{n}.attention.value_projection": "model.layers.{n}.self_attn.v_proj",
    "decoder.blocks.{n}.attention.output_projection": "model.layers.{n}.self_attn.o_proj",
    "decoder.blocks.{n}.residuals.1.norm": "model.layers.{n}.post_attention_layernorm",
    "decoder.blocks.{n}.feed_forward.gate": "model.layers.{n}.mlp.gate_proj",
    "decoder.blocks.{n}.feed_forward.inner": "model.layers.{n}.mlp.up_proj",
    "decoder.blocks.{n}.feed_forward.outer": "model.layers.{n}.mlp.down_proj",
    "decoder.final_norm": "model.norm",
    "output_projection": "lm_head",
}
LENGTH = 16  # in training, before it is scaled
TRAINED = {"factor": 4.0, "original_max_position_embeddings": LENGTH}
SCALINGS = {
    "linear": (LinearScaling(factor=4.0), {"factor": 4.0}),
    "yarn": (YaRNScaling(factor=4.0, length=LENGTH, beta_fast=2.0), {**TRAINED, "beta_fast": 2.0}),
    "llama3": (
        Llama3Scaling(factor=4.0, length=LENGTH, low=0.5, high=3.0),
        {**TRAINED, "low_freq_factor": 0.5, "high_freq_factor": 3.0},
    ),
}


def config(rope_type: str = "default", **options: float) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=42,
        intermediate_size=53,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=10,
        rms_norm_eps=1e-5,
        max_position_embeddings=4 * LENGTH,
        rope_parameters={"rope_type": rope_type, "rope_theta": 1000.0, **options},
        attn_implementation="eager",
    )


def llama(c: transformers.LlamaConfig, scaling: RotaryScaling | None = None) -> LanguageModel:
    block = DecoderBlock(
        MultiHeadAttention(
            c.num_attention_heads, kv_heads=c.num_key_value_heads, head_width=c.head_dim, use_bias=False
        ),
        feed_forward=FeedForward(c.intermediate_size, activation="silu", gated=True, use_bias=False),
        norm=keras.layers.RMSNormalization(epsilon=c.rms_norm_eps),
    )
    position = Rotary(wavelength=c.rope_parameters["rope_theta"], scaling=scaling)
    decoder = Decoder(c.num_hidden_layers, block, position=position)
    return LanguageModel(TokenEmbedding(c.vocab_size, width=c.hidden_size), decoder, tie=False)


@pytest.fixture
def compared(rng, copy_weights, randomize):
    """Our model and, for the same tokens with their mask, the peer's logits."""

    def build(config: transformers.LlamaConfig, scaling: RotaryScaling | None = None) -> tuple:
        ours, theirs = llama(config, scaling), randomize(transformers.LlamaForCausalLM(config))
        ours.build((B, T))
        copy_weights(ours, theirs, WEIGHTS, depth=config.num_hidden_layers)
        tokens, mask = rng.integers(2, 97, size=(B, T)), np.arange(T) < [[T], [13]]
        with torch.no_grad():
            expected = theirs(torch.tensor(tokens), attention_mask=torch.tensor(mask.astype(int))).logits
        return ours, tokens, mask, expected

    return build


def test_llama(parity, compared, in_steps, compiled):
    ours, tokens, mask, expected = compared(config())
    parity(PEER, "logits", compiled(ours)(tokens, mask=mask), expected, real=mask)
    cached = in_steps(ours, tokens, ours.make_cache(B, T), (16, *[1] * 7), mask=mask)
    parity(PEER, "logits with a cache", cached, expected, real=mask)


@pytest.mark.parametrize("rope_type", SCALINGS)
def test_longer_than_in_training(parity, compared, compiled, rope_type):
    scaling, options = SCALINGS[rope_type]
    ours, tokens, mask, expected = compared(config(rope_type, **options), scaling)
    parity(PEER, f"logits, {rope_type} scaling", compiled(ours)(tokens, mask=mask), expected, real=mask)
