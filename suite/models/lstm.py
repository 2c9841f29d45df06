"""LSTM from left to right alone: beside `rnn` it shows what a look at the following words gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from suite.models import rnn

if TYPE_CHECKING:
    import keras


class Config(rnn.Config):
    """Sizes of a recurrent network that reads in one direction."""

    directions: ClassVar[int] = 1


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` LSTM layers: x (B, T, width), mask (B, T) -> (B, T, width); position t sees positions 0 to t."""
    return rnn.recurrent("LSTM", config)


def decoder(config: Config, memory: bool) -> keras.layers.Layer:
    """As that of `rnn`."""
    return rnn.recurrent_decoder("LSTM", config, memory)
