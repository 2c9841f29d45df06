"""Bidirectional Elman network (Elman 1990): no gates at all, which shows what the gates of `rnn` and `gru` give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suite.models.rnn import Config, recurrent

__all__ = ["Config", "encoder"]


def encoder(config: Config) -> Callable[[Any, Any], Any]:
    """`depth` bidirectional Elman layers: x (B, T, width), mask (B, T) -> (B, T, width)."""
    return recurrent("SimpleRNN", config)
