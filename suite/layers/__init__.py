"""Reusable Keras layers, on every backend. Masks are boolean everywhere, True where something may be read."""

from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import Encoder, EncoderBlock
from suite.layers.cache import Cache, MemoryCache, RollingCache
from suite.layers.capture import capture_attention
from suite.layers.convolution import ConvolutionBlock
from suite.layers.convolutional_position import ConvolutionalPosition
from suite.layers.embeddings import CharacterEmbedding, TokenEmbedding
from suite.layers.feed_forward import FeedForward
from suite.layers.mask import AttentionMask
from suite.layers.positions import Position, RelativeBias, Rotary, Sinusoidal

__all__ = [
    "AttentionMask",
    "Cache",
    "CharacterEmbedding",
    "ConvolutionBlock",
    "ConvolutionalPosition",
    "Encoder",
    "EncoderBlock",
    "FeedForward",
    "MemoryCache",
    "MultiHeadAttention",
    "Position",
    "RelativeBias",
    "RollingCache",
    "Rotary",
    "Sinusoidal",
    "TokenEmbedding",
    "capture_attention",
]
