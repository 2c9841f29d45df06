"""GPT-2, rebuilt from our layers: a causal stack of pre-norm blocks with learned positions and tied embeddings."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import Decoder, DecoderBlock, FeedForward, LanguageModel, Learned, MultiHeadAttention, TokenEmbedding

torch = pytest.importorskip("torch", reason="parity with Hugging Face's models needs PyTorch")
transformers = pytest.importorskip("transformers", reason="parity with Hugging Face's models needs transformers")

B, T = 2, 11
PEER = "transformers.GPT2LMHeadModel"
CONFIG = transformers.GPT2Config(
    vocab_size=97,
    n_positions=13,
    n_embd=42,
    n_layer=2,
    n_head=3,
    n_inner=53,
    bos_token_id=1,
    eos_token_id=1,
    attn_implementation="eager",
)
PROJECTIONS = ("query_projection", "key_projection", "value_projection")
WEIGHTS = {
    "embedding": "transformer.wte",
    "decoder.position": "transformer.wpe",
    "decoder.blocks.{n}.residuals.0.norm": "transformer.h.{n}.ln_1",
    tuple(f"decoder.blocks.{{n}}.attention.{one}" for one in PROJECTIONS): "transformer.h.{n}.attn.c_attn",
    "decoder.blocks.{n}.attention.output_projection": "transformer.h.{n}.attn.c_proj",
    "decoder.blocks.{n}.residuals.1.norm": "transformer.h.{n}.ln_2",
    "decoder.blocks.{n}.feed_forward.inner": "transformer.h.{n}.mlp.c_fc",
    "decoder.blocks.{n}.feed_forward.outer": "transformer.h.{n}.mlp.c_proj",
    "decoder.final_norm": "transformer.ln_f",
}


def gpt2(c: transformers.GPT2Config) -> LanguageModel:
    block = DecoderBlock(
        MultiHeadAttention(c.n_head),
        feed_forward=FeedForward(c.n_inner, activation="gelu_tanh"),
        norm=keras.layers.LayerNormalization(epsilon=c.layer_norm_epsilon),
    )
    decoder = Decoder(c.n_layer, block, position=Learned(c.n_positions))
    return LanguageModel(TokenEmbedding(c.vocab_size, width=c.n_embd), decoder)


@pytest.fixture
def models(copy_weights, randomize):
    ours, theirs = gpt2(CONFIG), randomize(transformers.GPT2LMHeadModel(CONFIG))
    ours.build((B, T))
    copy_weights(ours, theirs, WEIGHTS, depth=CONFIG.n_layer)
    return ours, theirs


@pytest.mark.parametrize("side", ["right", "left"])
def test_gpt2(rng, parity, models, in_steps, compiled, side):
    """Padding at the left, as in generation from prompts of unequal lengths, gives positions of each row's own."""
    ours, theirs = models
    tokens = rng.integers(2, 97, size=(B, T))
    mask = np.arange(T) < [[T], [6]]
    mask = mask if side == "right" else mask[:, ::-1]
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    given = {"mask": mask, "positions": positions}
    with torch.no_grad():
        expected = theirs(
            torch.tensor(tokens), attention_mask=torch.tensor(mask.astype(int)), position_ids=torch.tensor(positions)
        ).logits
    parity(PEER, f"logits, padded at the {side}", compiled(ours)(tokens, **given), expected, real=mask)
    cached = in_steps(ours, tokens, ours.make_cache(B, T), (4, *[1] * 7), **given)
    parity(PEER, f"logits with a cache, padded at the {side}", cached, expected, real=mask)
