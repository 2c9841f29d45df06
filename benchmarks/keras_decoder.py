"""Greedy decoding by this library and by KerasHub, on any backend of Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from benchmarks import steps
from benchmarks.decoding import DecodingPeer, Size


class SuiteDecoder(DecodingPeer):
    """`suite.decoding.generate` with a `LanguageModel` as GPT-2 is built."""

    def device(self) -> str:
        return steps.device()

    def prepare(self, size: Size) -> tuple[int, float]:
        keras.backend.clear_session()
        keras.config.set_dtype_policy(size.features)
        self.model = self.make(size)
        parameters = self.model.count_params()
        if size.precision == "int8":
            self.quantize()
        return parameters, self.start(size)

    def quantize(self) -> None:
        """Make weights int8."""
        tokens = keras.Input((None,), dtype="int32")
        keras.Model(tokens, self.model(tokens)).quantize("int8")

    def make(self, size: Size) -> Any:
        """The model."""
        from suite.layers import Decoder, DecoderBlock, FeedForward, LanguageModel, Learned, TokenEmbedding

        block = DecoderBlock(size.heads, feed_forward=FeedForward(4 * size.width, activation="gelu_tanh"))
        decoder = Decoder(size.depth, block, position=Learned(size.positions))
        model = LanguageModel(TokenEmbedding(size.vocabulary, width=size.width), decoder)
        model.build((None, None))
        return model

    def write(self, count: int) -> np.ndarray:
        from suite.decoding import generate

        written = generate(self.model, self.prompts.tolist(), max_tokens=count)
        return np.asarray(written.tokens, "int32")


class KerasHubDecoder(SuiteDecoder):
    """`keras_hub.models.GPT2CausalLM.generate` with its greedy sampler and without a preprocessor."""

    def make(self, size: Size) -> Any:
        from keras_hub.models import GPT2Backbone, GPT2CausalLM

        backbone = GPT2Backbone(
            vocabulary_size=size.vocabulary,
            num_layers=size.depth,
            num_heads=size.heads,
            hidden_dim=size.width,
            intermediate_dim=4 * size.width,
            max_sequence_length=size.positions,
            dropout=0.0,
        )
        model = GPT2CausalLM(backbone=backbone, preprocessor=None)
        model.compile(sampler="greedy")
        return model

    def quantize(self) -> None:
        self.model.quantize("int8")

    def write(self, count: int) -> np.ndarray:
        size = self.size
        tokens = np.zeros((size.batch, size.prompt + count), "int32")
        tokens[:, : size.prompt] = self.prompts
        real = np.broadcast_to(np.arange(tokens.shape[1]) < size.prompt, tokens.shape)
        found = self.model.generate({"token_ids": tokens, "padding_mask": real}, stop_token_ids=None)
        return keras.ops.convert_to_numpy(found["token_ids"])[:, size.prompt :]
