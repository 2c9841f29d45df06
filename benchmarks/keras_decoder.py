"""Greedy decoding by this library and by KerasHub, on any backend of Keras."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from benchmarks import steps
from benchmarks.decoding import Size


class SuiteDecoder:
    """`suite.decoding.generate` with a `LanguageModel` as GPT-2 is built."""

    def device(self) -> str:
        """The accelerator's name, or "cpu"."""
        return steps.device()

    def prepare(self, size: Size) -> tuple[int, float]:
        """Make the model and decode once. The number of weights, and the seconds of that call."""
        keras.backend.clear_session()
        keras.config.set_dtype_policy(size.precision)
        self.size, self.model = size, self.make(size)
        self.prompts = np.random.default_rng(0).integers(1, size.vocabulary, (size.batch, size.prompt))
        self.processor: list[float] = []
        first = self.seconds()
        self.processor.clear()
        return self.model.count_params(), first

    def seconds(self) -> float:
        """Of one batch of texts, whole."""
        start, used = time.perf_counter(), time.process_time()
        written = self.write()
        seconds = time.perf_counter() - start
        self.processor.append(time.process_time() - used)
        if written.shape != (self.size.batch, self.size.written):
            raise RuntimeError(f"expected {self.size.written} tokens a row, and {written.shape} came")
        return seconds

    def processor_seconds(self) -> list[float]:
        """Of all its threads, in each call of `seconds` since it was prepared."""
        return self.processor

    def make(self, size: Size) -> Any:
        """The model."""
        from suite.layers import Decoder, DecoderBlock, FeedForward, LanguageModel, Learned, TokenEmbedding

        block = DecoderBlock(size.heads, feed_forward=FeedForward(4 * size.width, activation="gelu_tanh"))
        decoder = Decoder(size.depth, block, position=Learned(size.positions))
        model = LanguageModel(TokenEmbedding(size.vocabulary, width=size.width), decoder)
        model.build((None, None))
        return model

    def write(self) -> np.ndarray:
        """What was written, (batch, written)."""
        from suite.decoding import generate

        written = generate(self.model, self.prompts.tolist(), max_tokens=self.size.written)
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

    def write(self) -> np.ndarray:
        size = self.size
        tokens = np.zeros((size.batch, size.prompt + size.written), "int32")
        tokens[:, : size.prompt] = self.prompts
        real = np.broadcast_to(np.arange(tokens.shape[1]) < size.prompt, tokens.shape)
        found = self.model.generate({"token_ids": tokens, "padding_mask": real}, stop_token_ids=None)
        return keras.ops.convert_to_numpy(found["token_ids"])[:, size.prompt :]
