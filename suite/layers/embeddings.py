"""From word and character numbers to vectors. In both, 0 is padding and 1 is the unknown.

Shapes: B batch, T words, C characters of a word, E width of a character, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.dense import holds_int8
from suite.layers.pooling import masked_max

UNKNOWN = 1


@keras.saving.register_keras_serializable(package="suite")
class TokenEmbedding(keras.layers.Layer):
    """A learned vector for each token, which in training sometimes pretends not to know the token.

    Token i becomes row i of a table, times the root of D with `scale`. With probability `token_dropout` a token is
    replaced by the unknown one, number 1. That is how the unknown token gets a useful vector, and how the model learns
    to rely on the context and on other features where it meets a word that training never showed. Padding stays
    padding. Where a model predicts tokens, `logits` reads the same table in the other direction.

    ``quantize("int8")``, which `keras.Model.quantize` calls, rounds each row of the table to whole numbers from -127 to
    127 times a scale of its own, and `logits` from then on the vectors that it multiplies it with, likewise.

    Args:
        vocabulary: the number of tokens, padding and the unknown included.
        width: D.
        token_dropout: the probability of the replacement in training.
        scale: whether to multiply the vectors by the root of D; `logits` never does.

    Call arguments:
        inputs: (B, T) integers from 0 to ``vocabulary - 1``; with `reverse` (B, T, D) floating point.
        reverse: whether to go from vectors to logits, which `logits` does for you.

    Returns:
        (B, T, D); with `reverse` (B, T, vocabulary) in float32 at least, whatever the layer's policy.

    Raises:
        ValueError: where a number is outside its range, for vectors that are not of width D, and where the layer is
            quantized twice.
        NotImplementedError: for a quantization other than int8, which Keras then leaves out.

    Example:

    >>> import numpy as np
    >>> embedding = TokenEmbedding(10, width=4)
    >>> x = embedding(np.array([[2, 3, 0]]))
    >>> tuple(x.shape), tuple(embedding.logits(x).shape)
    ((1, 3, 4), (1, 3, 10))

    Reference: Dyer et al. 2015, section 4 (stochastic replacement of words), https://arxiv.org/abs/1505.08075; Press
    and Wolf 2017 (one table for input and output), https://arxiv.org/abs/1608.05859; Vaswani et al. 2017, section 3.4
    (both, with `scale`), https://arxiv.org/abs/1706.03762.
    """

    def __init__(
        self, vocabulary: int, *, width: int, token_dropout: float = 0.0, scale: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # so that `logits` reads its inputs as they are
        if vocabulary <= UNKNOWN or width < 1 or not 0 <= token_dropout < 1:
            raise ValueError(
                f"TokenEmbedding expects a vocabulary of at least {UNKNOWN + 1}, a width of at least 1 and "
                f"0 <= token_dropout < 1. "
                f"Received: vocabulary={vocabulary}, width={width}, token_dropout={token_dropout}"
            )
        self.vocabulary = vocabulary
        self.width = width
        self.token_dropout = token_dropout
        self.scale = scale
        self.initializer = keras.initializers.RandomUniform()
        self.seed = keras.random.SeedGenerator()
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the table, which `logits` reads without rounding it to half precision."""
        if self.quantization_mode is not None:  # as the configuration of a quantized layer says
            self.quantized_build(input_shape, self.quantization_mode)
            return
        shape = (self.vocabulary, self.width)
        self.table = self.add_weight(name="table", shape=shape, initializer=self.initializer, autocast=False)

    def quantized_build(self, input_shape: Any, mode: str) -> None:
        """Make the table in int8, (D, vocabulary), as products read it fastest, and a scale for each token."""
        shape = (self.width, self.vocabulary)
        self.table = self.add_weight(name="table", shape=shape, initializer="zeros", dtype="int8", trainable=False)
        self.table_scale = self.add_weight(
            name="table_scale", shape=(self.vocabulary,), initializer="ones", dtype="float32", trainable=False
        )

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Round the table; int8 is the only mode."""
        if mode != "int8":
            raise NotImplementedError(f"TokenEmbedding expects to be quantized to int8. Received: mode={mode}")
        if self.quantization_mode is not None:
            raise ValueError("TokenEmbedding expects to be quantized once. Received: a layer in int8")
        table, scale = keras.quantizers.abs_max_quantize(ops.transpose(self.table), axis=0, to_numpy=True)
        del self.table
        self.quantized_build(None, mode)
        self.table.assign(table)
        self.table_scale.assign(scale[0])
        policy: Any = super().dtype_policy
        self.built = False  # or Keras would quantize a layer that is given such a policy
        self.dtype_policy = keras.dtype_policies.get(f"int8_from_{policy.name}")
        self.built = True

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """As `call`, from the table in int8."""
        return self.call(*args, **kwargs)

    def load_own_variables(self, store: Any) -> None:
        """Load the table, and become int8 where it is."""
        if self.built and self.quantization_mode is None and holds_int8(store):
            self.quantize("int8")
        super().load_own_variables(store)

    def call(self, inputs: Any, *, reverse: bool = False, training: bool | None = None) -> Any:
        if reverse:
            return self._logits(inputs)
        if training and self.token_dropout > 0:
            drawn = keras.random.uniform(ops.shape(inputs), seed=self.seed) < self.token_dropout
            inputs = ops.where(ops.logical_and(drawn, inputs != 0), ops.cast(UNKNOWN, inputs.dtype), inputs)
        x = ops.cast(self._rows(inputs), self.compute_dtype)  # (B, T, D)
        return x * ops.cast(self.width**0.5, x.dtype) if self.scale else x

    def logits(self, hidden: Any) -> Any:
        """Vectors (B, T, D) -> their products with every row of the table, (B, T, vocabulary), in float32 at least."""
        return self(hidden, reverse=True)

    def _rows(self, tokens: Any) -> Any:
        if self.quantization_mode is None:
            return ops.take(self.table, tokens, axis=0)  # (B, T, D)
        rows = ops.moveaxis(ops.take(self.table, tokens, axis=1), 0, -1)  # (B, T, D)
        return ops.cast(rows, "float32") / ops.take(self.table_scale, tokens)[..., None]

    def _logits(self, hidden: Any) -> Any:
        if hidden.shape[-1] != self.width:
            raise ValueError(
                f"TokenEmbedding.logits expects vectors of width {self.width}. "
                f"Received: hidden of shape {tuple(hidden.shape)}"
            )
        wide = keras.backend.result_type(hidden.dtype, "float32")
        if self.quantization_mode is not None:
            return self._products(ops.cast(hidden, wide))
        table, hidden = ops.cast(self.table, wide), ops.cast(hidden, wide)  # (vocabulary, D), (B, T, D)
        if hidden.shape[1] == 1:  # a step of decoding: XLA reads the table faster where it stands first
            product = ops.matmul(table, ops.transpose(hidden[:, 0]))  # (vocabulary, B)
            return ops.transpose(product)[:, None]  # (B, 1, vocabulary)
        return ops.matmul(hidden, ops.transpose(table))  # (B, T, vocabulary)

    def _products(self, hidden: Any) -> Any:
        batch, length, _ = ops.shape(hidden)
        rows = ops.reshape(hidden, (-1, self.width))  # (B T, D)
        alone = rows.shape[0] == 1  # XLA's fast product of int8 on a CPU wants two rows at least
        whole, scale = keras.quantizers.abs_max_quantize(ops.pad(rows, ((0, 1), (0, 0))) if alone else rows, axis=-1)
        products = ops.cast(ops.matmul(whole, self.table), hidden.dtype) / (scale * self.table_scale)
        return ops.reshape(products[:1] if alone else products, (batch, length, self.vocabulary))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "token_dropout": self.token_dropout,
            "scale": self.scale,
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
        real = flat != 0  # (B * T, C)
        x = self.table(flat)  # (B * T, C, E)
        x = masked_max(self.filters(ops.where(real[..., None], x, ops.zeros_like(x))), real)  # (B * T, D)
        x = ops.where(ops.any(real, axis=1, keepdims=True), x, ops.zeros_like(x))
        return ops.reshape(x, (batch, words, self.width))  # (B, T, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "character_width": self.character_width,
            "window": self.window,
        }
