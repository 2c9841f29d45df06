"""ViT, rebuilt from our layers: patches, a class token, learned positions and pre-norm blocks."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.layers import ClassToken, Encoder, EncoderBlock, FeedForward, Learned, MultiHeadAttention, PatchEmbedding

torch = pytest.importorskip("torch", reason="parity with Hugging Face's models needs PyTorch")
transformers = pytest.importorskip("transformers", reason="parity with Hugging Face's models needs transformers")

B = 2
CONFIG = transformers.ViTConfig(
    hidden_size=42,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=53,
    image_size=(15, 20),
    patch_size=5,
    num_channels=3,
    attn_implementation="eager",
)
WEIGHTS = {
    "patches.projection": "embeddings.patch_embeddings.projection",
    "class_token": "embeddings.cls_token",
    "encoder.position": "embeddings.position_embeddings",
    "encoder.blocks.{n}.residuals.0.norm": "layers.{n}.layernorm_before",
    "encoder.blocks.{n}.attention.query_projection": "layers.{n}.attention.q_proj",
    "encoder.blocks.{n}.attention.key_projection": "layers.{n}.attention.k_proj",
    "encoder.blocks.{n}.attention.value_projection": "layers.{n}.attention.v_proj",
    "encoder.blocks.{n}.attention.output_projection": "layers.{n}.attention.o_proj",
    "encoder.blocks.{n}.residuals.1.norm": "layers.{n}.layernorm_after",
    "encoder.blocks.{n}.feed_forward.inner": "layers.{n}.mlp.fc1",
    "encoder.blocks.{n}.feed_forward.outer": "layers.{n}.mlp.fc2",
    "encoder.final_norm": "layernorm",
}


class ViT(keras.Model):
    def __init__(self, c: transformers.ViTConfig) -> None:
        super().__init__()
        self.patches = PatchEmbedding(c.hidden_size, patch=c.patch_size)
        self.class_token = ClassToken()
        rows, columns = self.patches.grid((None, *c.image_size, c.num_channels))
        block = EncoderBlock(
            MultiHeadAttention(c.num_attention_heads),
            feed_forward=FeedForward(c.intermediate_size, activation="gelu"),
            norm=keras.layers.LayerNormalization(epsilon=c.layer_norm_eps),
        )
        self.encoder = Encoder(c.num_hidden_layers, block, position=Learned(1 + rows * columns))

    def call(self, images):
        return self.encoder(self.class_token(self.patches(images)))


def test_vit(rng, parity, copy_weights, randomize, compiled):
    theirs = randomize(transformers.ViTModel(CONFIG, add_pooling_layer=False))
    images = rng.normal(size=(B, *CONFIG.image_size, CONFIG.num_channels)).astype("float32")
    ours = ViT(CONFIG)
    ours(keras.Input(images.shape[1:], B))
    copy_weights(ours, theirs, WEIGHTS, depth=CONFIG.num_hidden_layers)
    with torch.no_grad():
        expected = theirs(torch.tensor(np.moveaxis(images, -1, 1))).last_hidden_state
    parity("transformers.ViTModel", "hidden states", compiled(ours)(images), expected)
