"""From word and character numbers to vectors. In both, 0 is padding and 1 is the unknown.

Shapes: B batch, T words, C characters of a word, E width of a character, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

UNKNOWN = 1


@keras.saving.register_keras_serializable(package="suite")
class TokenEmbedding(keras.layers.Layer):
    """A learned vector for each token, which in training sometimes pretends not to know the token.

    With probability `token_dropout` a token is replaced by the unknown one, number 1. That is how the unknown token
    gets a useful vector, and how the model learns to rely on the context and on other features where it meets a word
    that training never showed. Padding stays padding.

    Args:
        vocabulary: the number of tokens, padding and the unknown included.
        width: D.
        token_dropout: the probability of the replacement in training.

    Call arguments:
        inputs: (B, T) integers from 0 to ``vocabulary - 1``.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where a number is outside its range.

    Example:

    >>> import numpy as np
    >>> tuple(TokenEmbedding(10, width=4)(np.array([[2, 3, 0]])).shape)
    (1, 3, 4)

    Reference: Dyer et al. 2015, section 4 (stochastic replacement of words), https://arxiv.org/abs/1505.08075.
    """

    def __init__(self, vocabulary: int, *, width: int, token_dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if vocabulary <= UNKNOWN or not 0 <= token_dropout < 1:
            raise ValueError(
                f"TokenEmbedding expects a vocabulary of at least {UNKNOWN + 1} and 0 <= token_dropout < 1. "
                f"Received: vocabulary={vocabulary}, token_dropout={token_dropout}"
            )
        self.vocabulary = vocabulary
        self.width = width
        self.token_dropout = token_dropout
        self.table = keras.layers.Embedding(vocabulary, width, dtype=self.dtype_policy, name="table")
        self.seed = keras.random.SeedGenerator()

    def build(self, input_shape: Any) -> None:
        """Make the table."""
        self.table.build(input_shape)

    def call(self, inputs: Any, *, training: bool | None = None) -> Any:
        if training and self.token_dropout > 0:
            drawn = keras.random.uniform(ops.shape(inputs), seed=self.seed) < self.token_dropout
            inputs = ops.where(ops.logical_and(drawn, inputs != 0), ops.cast(UNKNOWN, inputs.dtype), inputs)
        return self.table(inputs)  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "token_dropout": self.token_dropout,
        }


@keras.saving.register_keras_serializable(package="suite")
class CharacterEmbedding(keras.layers.Layer):
    """A vector for each word, read from its characters: embedding, convolution, maximum over the characters.

    ``max over c of (b + sum over j of W_j e[c + j])``, where e is zero outside the word. Padding characters, number
    0, change nothing, however many there are; a word without characters is the zero vector.

    Args:
        vocabulary: the number of characters, padding and the unknown included.
        width: D, the number of filters.
        character_width: E.
        window: the number of characters that a filter sees; odd.

    Call arguments:
        inputs: (B, T, C) integers from 0 to ``vocabulary - 1``; the padding of each word stands at its end.

    Returns:
        (B, T, D).

    Raises:
        ValueError: where `window` is not odd.

    Example:

    >>> import numpy as np
    >>> layer = CharacterEmbedding(10, width=4)
    >>> tuple(layer(np.array([[[2, 3, 0], [4, 5, 6]]])).shape)
    (1, 2, 4)

    Reference: Ma and Hovy 2016, section 2.1, https://arxiv.org/abs/1603.01354.
    """

    def __init__(
        self, vocabulary: int, *, width: int, character_width: int = 24, window: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if window < 1 or window % 2 == 0:
            raise ValueError(f"CharacterEmbedding expects an odd window. Received: window={window}")
        self.vocabulary = vocabulary
        self.width = width
        self.character_width = character_width
        self.window = window
        self.table = keras.layers.Embedding(vocabulary, character_width, dtype=self.dtype_policy, name="table")
        self.filters = keras.layers.Conv1D(width, window, padding="same", dtype=self.dtype_policy, name="filters")

    def build(self, input_shape: Any) -> None:
        """Make the table and the filters."""
        self.table.build(input_shape)
        self.filters.build((None, input_shape[-1], self.character_width))

    def call(self, inputs: Any) -> Any:
        batch, words, length = ops.shape(inputs)
        flat = ops.reshape(inputs, (batch * words, length))  # (B * T, C)
        real = (flat != 0)[..., None]  # (B * T, C, 1)
        x = self.table(flat)  # (B * T, C, E)
        x = self.filters(ops.where(real, x, ops.zeros_like(x)))  # (B * T, C, D)
        lowest = ops.cast(-1e4, x.dtype)  # below any feature, and float16 holds it
        x = ops.max(ops.where(real, x, lowest), axis=1)  # (B * T, D)
        x = ops.where(ops.any(real, axis=1), x, ops.zeros_like(x))
        return ops.reshape(x, (batch, words, self.width))  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "character_width": self.character_width,
            "window": self.window,
        }
