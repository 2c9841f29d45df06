"""Keras layers, task heads and a runner that compares Transformers with RNN, CNN and classic baselines."""

__version__ = "0.1.0"
