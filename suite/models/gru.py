"""Bidirectional GRU (Cho et al. 2014): fewer gates than the LSTM of `rnn`, all else equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from suite.models.rnn import Config, recurrent, recurrent_decoder

if TYPE_CHECKING:
    import keras

__all__ = ["Config", "decoder", "encoder"]


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` bidirectional GRU layers: x (B, T, width), mask (B, T) -> (B, T, width)."""
    return recurrent("GRU", config)


def decoder(config: Config, memory: bool) -> keras.layers.Layer:
    """`depth` GRU layers from left to right; with a memory, attention of one head above them."""
    return recurrent_decoder("GRU", config, memory)
