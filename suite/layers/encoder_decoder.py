"""From a source to the logits of the next target token.

Shapes: B batch, S source positions, T target tokens, D width, N vocabulary.
"""

from __future__ import annotations

from typing import Any, Self

import keras

from suite.layers.blocks import given
from suite.layers.embeddings import TokenEmbedding
from suite.layers.language_model import LanguageModel


@keras.saving.register_keras_serializable(package="suite")
class EncoderDecoder(keras.layers.Layer):
    """An encoder that makes a memory of the source, and a language model of the target that reads it.

    ``decode(target, encode(source))``; each half may be called on its own, which is how one generates: encode once,
    put the memory into a cache, decode token by token.

    Masking: neither a source position nor a target token that is not real is read.

    Args:
        embedding: for target tokens, and with ``source_embedding=None`` for source tokens, too.
        encoder: an `Encoder`, with a position scheme of its own, as the decoder has; or another layer that takes
            (B, S, D) and `mask`.
        decoder: one with cross-attention, as `LanguageModel` takes them.
        tie: whether the output shares the embedding's table.
        source_embedding: a layer from any source to (B, S, D), such as patches of images or frames of audio.

    Call arguments:
        source: (B, S) integers, or what `source_embedding` takes.
        target: (B, T) integers. In training they begin with the token that starts a sequence, and logits at t are
            those of target token t + 1.
        mask: (B, S) booleans, True at real positions of what the encoder reads.
        target_mask: (B, T) booleans, True at real tokens of the target.

    Returns:
        (B, T, N) in float32 at least.

    Raises:
        ValueError: where encoder and decoder share a position scheme, and as `Encoder`, `Decoder` and the embedding.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from suite.layers import Decoder, DecoderBlock, Encoder, EncoderBlock
    >>> encoder = Encoder(2, EncoderBlock(2, feed_forward=16))
    >>> decoder = Decoder(2, DecoderBlock(2, feed_forward=16, cross_attention=2))
    >>> model = EncoderDecoder(TokenEmbedding(11, width=8), encoder, decoder)
    >>> source, tokens = np.array([[4, 2, 7]]), np.array([[1]])
    >>> logits = model(source, tokens)
    >>> cache = model.make_cache(1, 5, memory=model.encode(source))
    >>> for _ in range(5):
    ...     logits, cache = model.decode(tokens[:, -1:], cache=cache)
    ...     tokens = np.concatenate([tokens, ops.argmax(logits, axis=-1)], axis=1)
    >>> tokens.shape
    (1, 6)

    Reference: Vaswani et al. 2017, section 3, https://arxiv.org/abs/1706.03762.
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        *,
        tie: bool = True,
        source_embedding: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        position = getattr(encoder, "position", None)
        if position is not None and position is getattr(decoder, "position", None):
            raise ValueError(
                f"{type(self).__name__} expects encoder and decoder to have a position scheme each. "
                f"Received: one for both, {position}"
            )
        self.embedding = embedding
        self.encoder = encoder
        self.source_embedding = source_embedding
        self.language_model = LanguageModel(embedding, decoder, tie=tie, dtype=self.dtype_policy, name="language_model")
        self.supports_masking = True

    def build(self, source_shape: Any, target_shape: Any) -> None:
        """Build the parts for a source (B, S, ...) and target tokens (B, T)."""
        front = self.embedding if self.source_embedding is None else self.source_embedding
        if not front.built:
            front.build(source_shape)
        width = self.embedding.width
        if not self.encoder.built:
            self.encoder.build((source_shape[0], None, width))
        self.language_model.build(target_shape, (source_shape[0], None, width))

    def call(
        self, source: Any, target: Any, *, mask: Any = None, target_mask: Any = None, training: bool | None = None
    ) -> Any:
        memory = self.encode(source, mask=mask, training=training)  # (B, S, D)
        return self.decode(target, memory, mask=target_mask, memory_mask=mask, training=training)  # (B, T, N)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: the mask of the source says nothing of the logits, though Keras would hand it on to the loss."""

    def encode(self, source: Any, *, mask: Any = None, positions: Any = None, training: bool | None = None) -> Any:
        """A source (B, S, ...), real positions (B, S) -> the memory (B, S, D)."""
        front = self.embedding if self.source_embedding is None else self.source_embedding
        return self.encoder(
            front(source, training=training), training=training, **given(mask=mask, positions=positions)
        )

    def decode(self, target: Any, memory: Any = None, **arguments: Any) -> Any:
        """Target tokens (B, T), as `LanguageModel` takes them -> logits (B, T, N); with `cache` the new cache, too."""
        return self.language_model(target, **given(memory=memory, **arguments))

    def make_cache(
        self, batch: Any, length: int, *, memory: Any, memory_mask: Any = None, rolling: bool = False
    ) -> tuple[Any, ...]:
        """Empty caches for at most `length` target tokens, which hold the memory."""
        return self.language_model.make_cache(batch, length, memory=memory, memory_mask=memory_mask, rolling=rolling)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.language_model.decoder),
            "tie": self.language_model.tie,
            "source_embedding": keras.saving.serialize_keras_object(self.source_embedding),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        names = ("embedding", "encoder", "decoder", "source_embedding")
        return super().from_config({**config, **{k: keras.saving.deserialize_keras_object(config[k]) for k in names}})
