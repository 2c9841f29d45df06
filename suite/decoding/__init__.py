"""Text from a language model: one module for every decoder that has a cache, on every backend."""

from suite.decoding.generation import Generated, Hypothesis, generate, stream
from suite.decoding.strategies import Beam, Greedy, Sample, Strategy

__all__ = ["Beam", "Generated", "Greedy", "Hypothesis", "Sample", "Strategy", "generate", "stream"]
