"""Beam search by this library, on any backend of Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from benchmarks import steps
from benchmarks.beam import START, Batch, BeamPeer, Size


class SuiteBeam(BeamPeer):
    """`suite.decoding.generate` with a post-norm Transformer as Marian's is built."""

    def device(self) -> str:
        return steps.device()

    def make(self, size: Size) -> int:
        from suite import layers
        from suite.backend import compiled

        keras.backend.clear_session()
        keras.config.set_dtype_policy(size.precision)
        shape: Any = {"feed_forward": size.hidden, "placement": "post"}
        encoder = layers.Encoder(
            size.depth, layers.EncoderBlock(size.heads, **shape), position=layers.Sinusoidal(), final_norm=None
        )
        block = layers.DecoderBlock(size.heads, cross_attention=size.heads, **shape)
        decoder = layers.Decoder(size.depth, block, position=layers.Sinusoidal(), final_norm=None)
        embedding = layers.TokenEmbedding(size.vocabulary, width=size.width, scale=True)
        self.model = layers.EncoderDecoder(embedding, encoder, decoder)
        self.model.build((None, None), (None, None))
        self.encode = compiled(self.model, lambda model, source: model.encode(source, mask=source != 0))
        return self.model.count_params()

    def translate(self, batch: Batch) -> list[int]:
        from suite.decoding import Beam, generate

        found = generate(
            self.model.language_model,
            [[START]] * len(batch.source),
            max_tokens=batch.tokens,
            strategy=Beam(self.size.beam),
            memory=self.encode(ops.convert_to_tensor(batch.source)),
            memory_mask=batch.source != 0,
        )
        return [len(tokens) for tokens in found.tokens]
