"""Bidirectional GRU (Cho et al. 2014): fewer gates than the LSTM of `rnn`, all else equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suite.models.rnn import Config, recurrent

__all__ = ["Config", "encoder"]


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` bidirectional GRU layers: x (B, T, width), mask (B, T) -> (B, T, width)."""
    return recurrent("GRU", config)
