"""Reusable Keras layers, on every backend. Masks are boolean everywhere, True where something may be read."""

from suite.layers.alibi import Alibi
from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import Encoder, EncoderBlock
from suite.layers.cache import Cache, MemoryCache, RollingCache
from suite.layers.capture import capture_attention
from suite.layers.convolution import ConvolutionBlock
from suite.layers.convolutional_position import ConvolutionalPosition
from suite.layers.embeddings import CharacterEmbedding, TokenEmbedding
from suite.layers.feed_forward import FeedForward
from suite.layers.grid import Grid, LearnedGrid, RotaryGrid, SinusoidalGrid
from suite.layers.learned import Learned
from suite.layers.mask import AttentionMask
from suite.layers.positions import Position
from suite.layers.relative_bias import RelativeBias
from suite.layers.rotary import Rotary
from suite.layers.rotary_scaling import LinearScaling, Llama3Scaling, NTKScaling, RotaryScaling, YaRNScaling
from suite.layers.sinusoidal import Sinusoidal

__all__ = [
    "Alibi",
    "AttentionMask",
    "Cache",
    "CharacterEmbedding",
    "ConvolutionBlock",
    "ConvolutionalPosition",
    "Encoder",
    "EncoderBlock",
    "FeedForward",
    "Grid",
    "Learned",
    "LearnedGrid",
    "LinearScaling",
    "Llama3Scaling",
    "MemoryCache",
    "MultiHeadAttention",
    "NTKScaling",
    "Position",
    "RelativeBias",
    "RollingCache",
    "Rotary",
    "RotaryGrid",
    "RotaryScaling",
    "Sinusoidal",
    "SinusoidalGrid",
    "TokenEmbedding",
    "YaRNScaling",
    "capture_attention",
]
