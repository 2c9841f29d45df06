"""From tokens to the logits of the next token.

Shapes: B batch, T tokens, S length of the memory, D width, N vocabulary.
"""

from __future__ import annotations

from typing import Any, Self

import keras

from suite.layers.blocks import given
from suite.layers.dense import Dense
from suite.layers.embeddings import TokenEmbedding


@keras.saving.register_keras_serializable(package="suite")
class LanguageModel(keras.layers.Layer):
    """An embedding, a causal decoder and an output over the vocabulary.

    ``logits[:, t] = decoder(embedding(tokens))[:, t] E^T`` are those of token t + 1, from tokens 0 to t. E is the
    embedding's table with ``tie=True``, and a matrix of its own otherwise. Logits are float32 at least.

    Masking: a token that is not real is not read, and the logits that come out there mean nothing.

    Args:
        embedding: from tokens to vectors, and with `tie` from vectors to logits.
        decoder: a `Decoder`, or another causal layer that is called as one and has `make_cache`: `RecurrentDecoder`,
            `ConvolutionalDecoder`, one of your own. With cross-attention every call needs a memory, or a cache that
            holds one.
        tie: whether input and output share the table.

    Call arguments:
        tokens: (B, T) integers; with a cache the next T tokens alone.
        memory: (B, S, D_m), for a decoder with cross-attention.
        mask: (B, T) booleans, True at real tokens. Prompts of several lengths are padded on the left.
        memory_mask: (B, S) booleans, True at real positions of `memory`.
        pair_mask: booleans for the self-attention, as `MultiHeadAttention` takes them.
        positions: (T,) or (B, T) integers; by default they count from 0, or from the cache's length.
        cache: from `make_cache`, a tuple with what each layer of the decoder keeps.

    Returns:
        (B, T, N); with `cache` that and the new cache.

    Raises:
        ValueError: as `Decoder` and the embedding.

    Example: the most probable continuation, with one token read in each step.

    >>> import numpy as np
    >>> from keras import ops
    >>> from suite.layers import Decoder, DecoderBlock
    >>> model = LanguageModel(TokenEmbedding(11, width=8), Decoder(2, DecoderBlock(2, feed_forward=16)))
    >>> model.build((None, None))
    >>> tokens = np.array([[4, 2, 7]])
    >>> logits, cache = model(tokens, cache=model.make_cache(1, 8))
    >>> for _ in range(5):
    ...     token = ops.argmax(logits[:, -1:], axis=-1)
    ...     tokens = np.concatenate([tokens, token], axis=1)
    ...     logits, cache = model(token, cache=cache)
    >>> tokens.shape
    (1, 8)

    Reference: Radford et al. 2018, section 3.1,
    https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf; Press and Wolf 2017
    (one table), https://arxiv.org/abs/1608.05859.
    """

    def __init__(
        self, embedding: TokenEmbedding, decoder: keras.layers.Layer, *, tie: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.embedding = embedding
        self.decoder: Any = decoder
        self.tie = tie
        self.supports_masking = True
        wide = keras.backend.result_type(self.compute_dtype, "float32")
        self.output_projection = None if tie else Dense(embedding.vocabulary, use_bias=False, dtype=wide, name="output")

    def build(self, tokens_shape: Any, memory_shape: Any = None) -> None:
        """Build the parts for tokens (B, T) and a memory (B, S, D_m)."""
        hidden = (*tokens_shape, self.embedding.width)
        if not self.embedding.built:
            self.embedding.build(tokens_shape)
        if not self.decoder.built:
            self.decoder.build(hidden, memory_shape)
        if self.output_projection is not None:
            self.output_projection.build(hidden)

    def call(
        self,
        tokens: Any,
        memory: Any = None,
        *,
        mask: Any = None,
        memory_mask: Any = None,
        pair_mask: Any = None,
        positions: Any = None,
        cache: tuple[Any, ...] | None = None,
        training: bool | None = None,
    ) -> Any:
        x = self.embedding(tokens, training=training)  # (B, T, D)
        wanted = given(
            memory=memory, mask=mask, memory_mask=memory_mask, pair_mask=pair_mask, positions=positions, cache=cache
        )
        x = self.decoder(x, training=training, **wanted)
        if cache is not None:
            x, cache = x
        logits = self.embedding.logits(x) if self.output_projection is None else self.output_projection(x)  # (B, T, N)
        return logits if cache is None else (logits, cache)

    def make_cache(
        self, batch: Any, length: int, *, memory: Any = None, memory_mask: Any = None, rolling: bool = False
    ) -> tuple[Any, ...]:
        """Empty caches, one for each layer of the decoder, as its `make_cache` makes them."""
        rolls = {"rolling": True} if rolling else {}
        return self.decoder.make_cache(batch, length, memory=memory, memory_mask=memory_mask, **rolls)

    @property
    def longest(self) -> int | None:
        """The number of positions that the decoder knows, or None where any is as good as another."""
        return getattr(self.decoder, "longest", None)

    @property
    def takes_pair_mask(self) -> bool:
        """Whether the decoder has attention that obeys a `pair_mask`."""
        return getattr(self.decoder, "takes_pair_mask", False)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "tie": self.tie,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        parts = {k: keras.saving.deserialize_keras_object(config[k]) for k in ("embedding", "decoder")}
        return super().from_config({**config, **parts})
