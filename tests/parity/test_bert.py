"""BERT, rebuilt from our layers: post-norm blocks over tokens, kinds of sentence and learned positions."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import Encoder, EncoderBlock, FeedForward, Learned, MultiHeadAttention, TokenEmbedding

torch = pytest.importorskip("torch", reason="parity with Hugging Face's models needs PyTorch")
transformers = pytest.importorskip("transformers", reason="parity with Hugging Face's models needs transformers")

B, T = 2, 11
CONFIG = transformers.BertConfig(
    vocab_size=97,
    hidden_size=42,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=53,
    max_position_embeddings=13,
    attn_implementation="eager",
)
WEIGHTS = {
    "tokens": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "kinds": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "encoder.blocks.{n}.attention.query_projection": "encoder.layer.{n}.attention.self.query",
    "encoder.blocks.{n}.attention.key_projection": "encoder.layer.{n}.attention.self.key",
    "encoder.blocks.{n}.attention.value_projection": "encoder.layer.{n}.attention.self.value",
    "encoder.blocks.{n}.attention.output_projection": "encoder.layer.{n}.attention.output.dense",
    "encoder.blocks.{n}.residuals.0.norm": "encoder.layer.{n}.attention.output.LayerNorm",
    "encoder.blocks.{n}.feed_forward.inner": "encoder.layer.{n}.intermediate.dense",
    "encoder.blocks.{n}.feed_forward.outer": "encoder.layer.{n}.output.dense",
    "encoder.blocks.{n}.residuals.1.norm": "encoder.layer.{n}.output.LayerNorm",
    "pooler": "pooler.dense",
}


class Bert(keras.Model):
    def __init__(self, c: transformers.BertConfig) -> None:
        super().__init__()
        self.tokens = TokenEmbedding(c.vocab_size, width=c.hidden_size)
        self.positions = Learned(c.max_position_embeddings)
        self.kinds = TokenEmbedding(c.type_vocab_size, width=c.hidden_size)
        self.norm = keras.layers.LayerNormalization(epsilon=c.layer_norm_eps)
        block = EncoderBlock(
            MultiHeadAttention(c.num_attention_heads),
            feed_forward=FeedForward(c.intermediate_size, activation="gelu"),
            norm=self.norm,
            placement="post",
        )
        self.encoder = Encoder(c.num_hidden_layers, block)
        self.pooler = keras.layers.Dense(c.hidden_size, activation="tanh")

    def call(self, tokens, kinds, mask):
        x = self.norm(self.positions(self.tokens(tokens) + self.kinds(kinds)))
        x = self.encoder(x, mask=mask)
        return x, self.pooler(x[:, 0])


def test_bert(rng, parity, copy_weights, randomize, compiled):
    theirs = randomize(transformers.BertModel(CONFIG))
    tokens, kinds = rng.integers(2, 97, size=(B, T)), rng.integers(0, 2, size=(B, T))
    mask = np.arange(T) < [[T], [5]]
    ours = Bert(CONFIG)
    ours(*[keras.Input((T,), B, dtype=kind) for kind in ("int32", "int32", "bool")])
    copy_weights(ours, theirs, WEIGHTS, depth=CONFIG.num_hidden_layers)
    states, pooled = compiled(ours)(tokens, kinds, mask)
    with torch.no_grad():
        expected = theirs(torch.tensor(tokens), torch.tensor(mask), torch.tensor(kinds))
    parity("transformers.BertModel", "hidden states", states, expected.last_hidden_state, real=mask)
    parity("transformers.BertModel", "pooled", pooled, expected.pooler_output)
