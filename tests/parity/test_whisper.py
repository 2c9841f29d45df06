"""Whisper, rebuilt from our layers: convolved frames of sound into a pre-norm encoder, and a decoder of tokens."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import (
    ConvolutionalFrames,
    Decoder,
    DecoderBlock,
    Encoder,
    EncoderBlock,
    EncoderDecoder,
    FeedForward,
    Learned,
    MultiHeadAttention,
    TokenEmbedding,
)

torch = pytest.importorskip("torch", reason="parity with Hugging Face's models needs PyTorch")
transformers = pytest.importorskip("transformers", reason="parity with Hugging Face's models needs transformers")

B, S, T = 2, 7, 11
PEER = "transformers.WhisperForConditionalGeneration"
CONFIG = transformers.WhisperConfig(
    vocab_size=97,
    num_mel_bins=13,
    d_model=42,
    encoder_layers=2,
    encoder_attention_heads=3,
    encoder_ffn_dim=53,
    decoder_layers=2,
    decoder_attention_heads=3,
    decoder_ffn_dim=53,
    max_source_positions=S,
    max_target_positions=13,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=1,
    decoder_start_token_id=2,
    attn_implementation="eager",
)


def weights() -> dict[str, str]:
    """Whisper's keys have no bias; ours is zero, which a softmax would not notice anyway."""
    names = {
        "source_embedding.first": "model.encoder.conv1",
        "source_embedding.second": "model.encoder.conv2",
        "embedding": "model.decoder.embed_tokens",
    }
    for side, ours in (("encoder", "encoder"), ("decoder", "language_model.decoder")):
        names[f"{ours}.position"] = f"model.{side}.embed_positions"
        names[f"{ours}.final_norm"] = f"model.{side}.layer_norm"
        block, other = f"{ours}.blocks.{{n}}", f"model.{side}.layers.{{n}}"
        attentions = {"attention": "self_attn", **({"cross_attention": "encoder_attn"} if side == "decoder" else {})}
        for i, (part, peer) in enumerate(attentions.items()):
            names[f"{block}.residuals.{i}.norm"] = f"{other}.{peer}_layer_norm"
            for one, letter in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")):
                names[f"{block}.{part}.{one}_projection"] = f"{other}.{peer}.{letter}_proj"
        names[f"{block}.residuals.{len(attentions)}.norm"] = f"{other}.final_layer_norm"
        names[f"{block}.feed_forward.inner"] = f"{other}.fc1"
        names[f"{block}.feed_forward.outer"] = f"{other}.fc2"
    return names


def whisper(c: transformers.WhisperConfig) -> EncoderDecoder:
    norm = keras.layers.LayerNormalization(epsilon=1e-5)
    block = EncoderBlock(
        MultiHeadAttention(c.encoder_attention_heads),
        feed_forward=FeedForward(c.encoder_ffn_dim, activation="gelu"),
        norm=norm,
    )
    encoder = Encoder(c.encoder_layers, block, position=Learned(c.max_source_positions))
    block = DecoderBlock(
        MultiHeadAttention(c.decoder_attention_heads),
        cross_attention=MultiHeadAttention(c.decoder_attention_heads),
        feed_forward=FeedForward(c.decoder_ffn_dim, activation="gelu"),
        norm=norm,
    )
    decoder = Decoder(c.decoder_layers, block, position=Learned(c.max_target_positions))
    embedding = TokenEmbedding(c.vocab_size, width=c.d_model)
    return EncoderDecoder(embedding, encoder, decoder, source_embedding=ConvolutionalFrames(c.d_model))


def test_whisper(rng, parity, copy_weights, randomize, in_steps, compiled):
    ours, theirs = whisper(CONFIG), randomize(transformers.WhisperForConditionalGeneration(CONFIG))
    frames = rng.normal(size=(B, 2 * S, CONFIG.num_mel_bins)).astype("float32")
    tokens, mask = rng.integers(2, 97, size=(B, T)), np.arange(T) < [[T], [6]]
    ours.build(frames.shape, tokens.shape)
    copy_weights(ours, theirs, weights(), depth=CONFIG.encoder_layers)
    with torch.no_grad():
        expected = theirs(
            torch.tensor(frames.swapaxes(1, 2)),
            decoder_input_ids=torch.tensor(tokens),
            decoder_attention_mask=torch.tensor(mask.astype(int)),
        )
    memory = compiled(ours.encode)(frames)
    parity(PEER, "memory", memory, expected.encoder_last_hidden_state)
    parity(PEER, "logits", compiled(ours)(frames, tokens, target_mask=mask), expected.logits, real=mask)
    cached = in_steps(ours.decode, tokens, ours.make_cache(B, T, memory=memory), (4, *[1] * 7), mask=mask)
    parity(PEER, "logits with a cache", cached, expected.logits, real=mask)
