"""Reusable Keras layers, on every backend. Masks are boolean everywhere, True where something may be read."""

from suite.layers.additive import AdditiveAttention
from suite.layers.alibi import Alibi
from suite.layers.attention import MultiHeadAttention
from suite.layers.blocks import Block, EncoderBlock
from suite.layers.cache import Cache, MemoryCache, RollingCache, StateCache
from suite.layers.capture import capture_attention
from suite.layers.chunked import ChunkedAttention
from suite.layers.class_token import ClassToken
from suite.layers.convolution import ConvolutionBlock
from suite.layers.convolutional_decoder import ConvolutionalDecoder, ConvolutionalDecoderBlock
from suite.layers.convolutional_position import ConvolutionalPosition
from suite.layers.decoder import BlockCache, DecoderBlock
from suite.layers.dropout import Dropout
from suite.layers.embeddings import CharacterEmbedding, TokenEmbedding
from suite.layers.encoder_decoder import EncoderDecoder
from suite.layers.feed_forward import FeedForward
from suite.layers.frame import ConvolutionalFrames, FrameEmbedding
from suite.layers.fused import FusedAttention
from suite.layers.grid import Grid, LearnedGrid, RotaryGrid, SinusoidalGrid
from suite.layers.language_model import LanguageModel
from suite.layers.learned import Learned
from suite.layers.linear import LinearAttention
from suite.layers.local import LocalAttention
from suite.layers.log_mel import LogMel
from suite.layers.mask import AttentionMask
from suite.layers.nearest import NearestAttention
from suite.layers.noise import AdditiveNoise
from suite.layers.normalization import LayerNormalization
from suite.layers.patch import ConvolutionalTokenizer, PatchEmbedding
from suite.layers.pooling import AttentionPooling, FirstPooling, MaxPooling, MeanPooling, Pooling
from suite.layers.positions import Position
from suite.layers.recurrent import GRU, LSTM, Bidirectional
from suite.layers.recurrent_decoder import RecurrentDecoder
from suite.layers.relative import RelativeAttention
from suite.layers.relative_bias import RelativeBias
from suite.layers.relative_level import RelativeLevel
from suite.layers.repeated import Repeated
from suite.layers.residual import Residual
from suite.layers.roles import Roles
from suite.layers.rotary import Rotary
from suite.layers.rotary_scaling import LinearScaling, Llama3Scaling, NTKScaling, RotaryScaling, YaRNScaling
from suite.layers.sinusoidal import Sinusoidal
from suite.layers.spec_augment import SpecAugment
from suite.layers.stacks import Decoder, Encoder
from suite.layers.talking_heads import TalkingHeadsAttention
from suite.layers.time_shift import TimeShift
from suite.layers.training_only import TrainingOnly

__all__ = [
    "GRU",
    "LSTM",
    "AdditiveAttention",
    "AdditiveNoise",
    "Alibi",
    "AttentionMask",
    "AttentionPooling",
    "Bidirectional",
    "Block",
    "BlockCache",
    "Cache",
    "CharacterEmbedding",
    "ChunkedAttention",
    "ClassToken",
    "ConvolutionBlock",
    "ConvolutionalDecoder",
    "ConvolutionalDecoderBlock",
    "ConvolutionalFrames",
    "ConvolutionalPosition",
    "ConvolutionalTokenizer",
    "Decoder",
    "DecoderBlock",
    "Dropout",
    "Encoder",
    "EncoderBlock",
    "EncoderDecoder",
    "FeedForward",
    "FirstPooling",
    "FrameEmbedding",
    "FusedAttention",
    "Grid",
    "LanguageModel",
    "LayerNormalization",
    "Learned",
    "LearnedGrid",
    "LinearAttention",
    "LinearScaling",
    "Llama3Scaling",
    "LocalAttention",
    "LogMel",
    "MaxPooling",
    "MeanPooling",
    "MemoryCache",
    "MultiHeadAttention",
    "NTKScaling",
    "NearestAttention",
    "PatchEmbedding",
    "Pooling",
    "Position",
    "RecurrentDecoder",
    "RelativeAttention",
    "RelativeBias",
    "RelativeLevel",
    "Repeated",
    "Residual",
    "Roles",
    "RollingCache",
    "Rotary",
    "RotaryGrid",
    "RotaryScaling",
    "Sinusoidal",
    "SinusoidalGrid",
    "SpecAugment",
    "StateCache",
    "TalkingHeadsAttention",
    "TimeShift",
    "TokenEmbedding",
    "TrainingOnly",
    "YaRNScaling",
    "capture_attention",
]
