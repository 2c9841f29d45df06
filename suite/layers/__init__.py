"""Reusable Keras layers, on every backend. Masks are boolean everywhere, True where something may be read."""

from suite.layers.attention import AttentionMask, MultiHeadAttention
from suite.layers.blocks import Encoder, EncoderBlock
from suite.layers.convolution import ConvolutionBlock
from suite.layers.convolutional_position import ConvolutionalPosition
from suite.layers.embeddings import CharacterEmbedding, TokenEmbedding
from suite.layers.feed_forward import FeedForward
from suite.layers.positions import Position, RelativeBias, Rotary, Sinusoidal

__all__ = [
    "AttentionMask",
    "CharacterEmbedding",
    "ConvolutionBlock",
    "ConvolutionalPosition",
    "Encoder",
    "EncoderBlock",
    "FeedForward",
    "MultiHeadAttention",
    "Position",
    "RelativeBias",
    "Rotary",
    "Sinusoidal",
    "TokenEmbedding",
]
