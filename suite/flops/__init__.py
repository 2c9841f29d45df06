"""Floating-point operations, counted: what one forward pass multiplies and adds in matrix products and convolutions.

A product of (M, K) and (K, N) counts 2 M K N. Elementwise work, norms, softmax, look-ups and Fourier transforms are
left out, as in PyTorch's own counter. What the outputs do not need is not counted: Keras's recurrent layers run a first
step on TensorFlow and PyTorch whose result is thrown away. So a model has the same number on every backend.
"""

from suite.flops.counting import count, per_example
from suite.flops.graph import MOST

__all__ = ["MOST", "count", "per_example"]
