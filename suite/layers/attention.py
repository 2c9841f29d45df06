"""Attention: project, gather every mask into one value, attend, combine.

Shapes: B batch, T query length, S key length, D width, H heads, K key and value heads, W head width, V value width.
"""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from suite.layers.arguments import check_mask, check_sizes
from suite.layers.cache import Cache, MemoryCache, RollingCache, Seen, empty_cache
from suite.layers.capture import capturing, record
from suite.layers.dense import Dense
from suite.layers.dropout import Dropout
from suite.layers.mask import AttentionMask
from suite.layers.positions import Position


@keras.saving.register_keras_serializable(package="suite")
class MultiHeadAttention(keras.layers.Layer):
    """Self-attention or cross-attention with several heads.

    For each head, ``softmax(scale q k^T + bias) v`` over the keys that may be read, where q, k and v are linear in
    `query`, `key` and `value`; the heads' contexts, side by side, are projected back to the query's width.

    A variant is a subclass that overrides one of three hooks, the smallest that will do. `call` always goes through
    them, with a cache and in every mode, and they always see H heads:

    - ``score(query, key)``: what a query thinks of a key, before soft cap and masks.
    - ``weigh(query, key, mask)``: the weights; here ``mask.softmax`` of the scores.
    - ``attend(query, key, value, mask, *, training)``: contexts and weights; here weights, dropout and a product.

    Masking: all masks are boolean, True where something may be read, and meet in one `AttentionMask`. A query that
    may read nothing has weights and a context of exactly zero, so its output is the output projection's bias (zero
    with ``use_bias=False``). Scores are masked and normalised in float32 at least.

    Args:
        heads: their number, H.
        kv_heads: K, the number of heads of keys and values, each shared by H / K heads of the query: 1 is multi-query
            attention, by default H.
        head_width: W; by default the query's width divided by `heads`.
        value_width: V, the width of a value's head; by default W.
        dropout: the fraction of weights dropped in training.
        use_bias: whether the four projections have a bias.
        query_key_norm: whether each head's queries and keys are divided by their root mean square and scaled by a
            learned vector, before positions turn them.
        scale: what scores are multiplied by; by default ``W ** -0.5``.
        soft_cap: the bound C of ``C tanh(score / C)``; by default scores are unbounded.
        window: a query reads only keys fewer than so many positions away, on either side; by default all.
        position: a `Position`, which turns queries and keys or adds a bias to the scores.

    Call arguments:
        query: (B, T, D) floating point.
        key: (B, S, D_k); by default `query`, which is self-attention.
        value: (B, S, D_v); by default `key`.
        mask: (B, T) booleans, the real positions of `query`. The others read nothing and, in self-attention, are not
            read. A mask that Keras carries implicitly arrives here where `query` is the only tensor given.
        key_mask: (B, S) booleans, the real positions of `key`.
        pair_mask: (T, S), (B, T, S) or (B, H, T, S) booleans, any pattern. With a cache, S counts all that is read:
            the cache's slots, and for a rolling cache the new tokens after them.
        causal: whether a query reads no key that comes after it.
        bias: floating point, broadcastable to (B, H, T, S), added to the scores.
        positions: (T,) or (B, T) integers, where the queries stand, and in self-attention the keys; by default they
            count from 0, or from the cache's length. Packed sequences give theirs, and a `pair_mask`.
        key_positions: (S,) or (B, S) integers, where the keys of cross-attention stand; by default from 0.
        cache: from `make_cache`, what earlier calls have seen of this sequence, to which `query` is added; or from
            `memory_cache`, the memory of cross-attention, in place of `key`.
        return_weights: whether to return the weights, too.

    Returns:
        (B, T, D); with `return_weights` or `cache` a tuple of that, the weights (B, H, T, S), after dropout in
        training, and the new cache.

    Raises:
        ValueError: for impossible sizes, masks of a wrong shape or type, a cache that is too short or has no place
            here, and a `value` without `key`.

    Example:

    >>> import numpy as np
    >>> x = np.ones((2, 5, 8), "float32")
    >>> mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    >>> output, weights = MultiHeadAttention(2)(x, mask=mask, return_weights=True)
    >>> tuple(output.shape), tuple(weights.shape)
    ((2, 5, 8), (2, 2, 5, 5))

    Reference: Vaswani et al. 2017, section 3.2, https://arxiv.org/abs/1706.03762; Ainslie et al. 2023 (grouped
    queries), https://arxiv.org/abs/2305.13245; Henry et al. 2020 (query-key norm), https://arxiv.org/abs/2010.04245,
    with a root mean square in place of the L2 norm, as Dehghani et al. 2023 normalise in front of the product.
    """

    takes_pair_mask = True  # a subclass whose `attend` answers for no pattern of pairs says False

    idle_weights = (
        "key/bias",
    )  # adds the same to all scores of a query, which the softmax cancels, unless it is turned

    def __init__(
        self,
        heads: int,
        *,
        kv_heads: int | None = None,
        head_width: int | None = None,
        value_width: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        query_key_norm: bool = False,
        scale: float | None = None,
        soft_cap: float | None = None,
        window: int | None = None,
        position: Position | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(self, heads=heads, kv_heads=kv_heads, head_width=head_width, value_width=value_width, window=window)
        if soft_cap is not None and soft_cap <= 0:
            raise ValueError(f"{type(self).__name__} expects a soft_cap above 0. Received: soft_cap={soft_cap}")
        if heads % (kv_heads or heads):
            raise ValueError(
                f"{type(self).__name__} expects kv_heads to divide heads. Received: heads={heads}, kv_heads={kv_heads}"
            )
        if position is not None and not position.in_attention and type(position) is not Position:
            raise ValueError(
                f"{type(self).__name__} expects a position that rotates or biases; one that is added to embeddings "
                f"belongs in front of the blocks. Received: position={position}"
            )
        self.heads = heads
        self.kv_heads = kv_heads
        self.head_width = head_width
        self.value_width = value_width
        self.use_bias = use_bias
        self.query_key_norm = query_key_norm
        self.scale = scale
        self.soft_cap = soft_cap
        self.window = window
        self.position = position
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.supports_masking = True

    def build(self, query_shape: Any, key_shape: Any = None, value_shape: Any = None) -> None:
        """Make the projections for inputs of these shapes."""
        key_shape = query_shape if key_shape is None else key_shape
        value_shape = key_shape if value_shape is None else value_shape
        width = query_shape[-1]
        if self.head_width is None and width % self.heads:
            raise ValueError(
                f"{type(self).__name__} expects a width that heads={self.heads} divide, or a head_width. "
                f"Received: query of shape {tuple(query_shape)}"
            )
        self._key_width = self.head_width or width // self.heads
        self._value_width = self.value_width or self._key_width
        kv_heads = self.kv_heads or self.heads
        self.query_projection = self._dense("query", self.heads * self._key_width, query_shape)
        self.key_projection = self._dense("key", kv_heads * self._key_width, key_shape)
        self.value_projection = self._dense("value", kv_heads * self._value_width, value_shape)
        inner = (*query_shape[:-1], self.heads * self._value_width)
        self.output_projection = self._dense("output", width, inner)
        if self.query_key_norm:
            self.query_norm = self._norm("query_norm")
            self.key_norm = self._norm("key_norm")
        if self.position is not None and not self.position.built:  # it may be shared
            self.position.build((query_shape[0], self.heads, query_shape[1], self._key_width))

    def call(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        *,
        mask: Any = None,
        key_mask: Any = None,
        pair_mask: Any = None,
        causal: bool = False,
        bias: Any = None,
        positions: Any = None,
        key_positions: Any = None,
        cache: Cache | MemoryCache | None = None,
        return_weights: bool = False,
        training: bool | None = None,
    ) -> Any:
        name = type(self).__name__
        if key is None and value is not None:
            raise ValueError(f"{name} expects a key where it gets a value. Received: key=None")
        if cache is not None and key is not None:
            raise ValueError(f"{name} expects a cache or a key, not both. Received: key of shape {tuple(key.shape)}")
        check_mask(self, "mask", mask, tuple(query.shape[:2]))
        check_mask(self, "key_mask", key_mask, tuple((query if key is None else key).shape[:2]))

        order = ops.arange(ops.shape(query)[1]) + (cache.length if isinstance(cache, Cache) else 0)
        positions = order if positions is None else positions
        q = self._turn(self._split(self.query_projection, query, self.heads), positions, "query_norm")  # (B, H, T, W)
        if isinstance(cache, MemoryCache):
            seen = cache.seen()
        elif key is None:
            seen = self._see(query, query, _both(mask, key_mask), positions, order)
            if cache is not None:
                seen, cache = cache.extend(seen, window=self.window)
        else:
            key_order = ops.arange(ops.shape(key)[1])
            key_positions = key_order if key_positions is None else key_positions
            seen = self._see(key, key if value is None else value, key_mask, key_positions, key_order)
        batch, queries, keys = query.shape[0], query.shape[1], seen.key.shape[2]
        pairs = (queries, keys), (batch, queries, keys), (batch, self.heads, queries, keys)
        check_mask(self, "pair_mask", pair_mask, *pairs)
        captured = capturing(memory=isinstance(cache, MemoryCache))
        gathered = AttentionMask(
            query=mask,
            key=seen.mask,
            pair=pair_mask,
            causal=causal,
            window=self.window,
            bias=bias,
            position=self.position,
            query_positions=positions,
            key_positions=seen.positions,
            query_order=order,
            key_order=seen.order,
            return_weights=return_weights or captured,
        )
        groups = self.heads // (self.kv_heads or self.heads)
        k, v = (x if groups == 1 else ops.repeat(x, groups, axis=1) for x in (seen.key, seen.value))  # (B, H, S, W)
        context, weights = self.attend(q, k, v, gathered, training=training)  # (B, H, T, V), (B, H, T, S)
        if weights is None and gathered.return_weights:
            weights = self.weigh(q, k, gathered)
        if captured:
            record(self.path or self.name, weights)
        output = self._join(context)  # (B, T, D)
        extra = ((weights,) if return_weights else ()) + ((cache,) if cache is not None else ())
        return (output, *extra) if extra else output

    def score(self, query: Any, key: Any) -> Any:
        """A hook. Projected queries (B, H, T, W) and keys (B, H, S, W) -> scores (B, H, T, S), before cap and mask."""
        # Scaled before the product, which float16 might not hold.
        query = query * ops.cast(query.shape[-1] ** -0.5 if self.scale is None else self.scale, query.dtype)
        return ops.matmul(query, ops.swapaxes(key, -1, -2))

    def weigh(self, query: Any, key: Any, mask: AttentionMask) -> Any:
        """A hook. Queries (B, H, T, W), keys (B, H, S, W) -> weights (B, H, T, S); a row without a key is zero."""
        return mask.softmax(self.logits(query, key))

    def attend(self, query: Any, key: Any, value: Any, mask: AttentionMask, *, training: bool | None) -> Any:
        """A hook. Queries (B, H, T, W), keys (B, H, S, W), values (B, H, S, V) -> contexts (B, H, T, V) and weights.

        The weights, (B, H, T, S), may be None where an override never has them, in which case `weigh` is asked for
        them where they are wanted, and are None here in training with dropout where ``mask.return_weights`` says that
        they are not. An override answers for the whole of `mask`, and may hand what it cannot do to this one.
        """
        own = type(self).weigh is not MultiHeadAttention.weigh
        if own or mask.return_weights or not self.dropout.draws(training):
            weights = self.dropout(self.weigh(query, key, mask), training=training)  # (B, H, T, S)
            return ops.matmul(ops.cast(weights, value.dtype), value), weights  # (B, H, T, V)
        scores = self.logits(query, key)
        return mask.dropped_product(scores, value, keep=self.dropout.keep(scores), rate=self.dropout.rate), None

    def logits(self, query: Any, key: Any) -> Any:
        """The scores of `score`, bounded by `soft_cap`."""
        scores = self.score(query, key)
        if self.soft_cap is None:
            return scores
        wide = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
        return self.soft_cap * ops.tanh(wide / self.soft_cap)

    def make_cache(self, batch: Any, length: int, *, rolling: bool = False) -> Cache:
        """An empty cache for a batch of sequences of at most `length` tokens.

        Args:
            batch: B.
            length: S, the number of slots. A rolling cache needs one less than the window.
            rolling: whether the cache keeps the newest tokens alone, for a layer with a `window`.

        Raises:
            ValueError: before the layer is built, and for a rolling cache without or shorter than the window.
        """
        if not self.built:
            raise ValueError(f"{type(self).__name__} expects to be built before a cache is made. Received: built=False")
        cache = empty_cache(
            RollingCache if rolling else Cache,
            (batch, self.kv_heads or self.heads, length),
            widths=(self._key_width, self._value_width),
            dtype=self.compute_dtype,
        )
        cache.check(window=self.window)
        return cache

    def memory_cache(self, memory: Any, *, mask: Any = None, positions: Any = None) -> MemoryCache:
        """Project the memory of cross-attention once: (B, S, D_k), real positions (B, S), where they stand."""
        check_mask(self, "mask", mask, tuple(memory.shape[:2]))
        order = ops.arange(ops.shape(memory)[1])
        return MemoryCache.of(self._see(memory, memory, mask, order if positions is None else positions, order))

    def _see(self, key: Any, value: Any, mask: Any, positions: Any, order: Any) -> Seen:
        kv_heads = self.kv_heads or self.heads
        k = self._turn(self._split(self.key_projection, key, kv_heads), positions, "key_norm")  # (B, K, S, W)
        v = self._split(self.value_projection, value, kv_heads)  # (B, K, S, V)
        return Seen(k, v, mask, positions, order)

    def _turn(self, x: Any, positions: Any, norm: str) -> Any:
        x = getattr(self, norm)(x) if self.query_key_norm else x
        return x if self.position is None else self.position.rotate(x, positions)

    def _split(self, projection: Dense, x: Any, heads: int) -> Any:
        batch, length, width = ops.shape(x)
        x = projection(ops.reshape(x, (-1, width)))  # (B T, H W): of two axes, as TensorFlow's fused product wants them
        x = ops.reshape(x, (batch, length, heads, projection.units // heads))  # (B, T, H, W)
        return ops.transpose(x, (0, 2, 1, 3))  # (B, H, T, W)

    def _join(self, x: Any) -> Any:
        batch, heads, length, width = ops.shape(x)
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, heads * width))  # (B T, H V)
        return ops.reshape(self.output_projection(x), (batch, length, self.output_projection.units))  # (B, T, D)

    def _dense(self, name: str, width: int, shape: Any) -> Dense:
        layer = Dense(width, use_bias=self.use_bias, dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer

    def _norm(self, name: str) -> keras.layers.RMSNormalization:
        layer = keras.layers.RMSNormalization(epsilon=1e-6, dtype=self.dtype_policy, name=name)
        layer.build((None, None, None, self._key_width))
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "head_width": self.head_width,
            "value_width": self.value_width,
            "dropout": self.dropout.rate,
            "use_bias": self.use_bias,
            "query_key_norm": self.query_key_norm,
            "scale": self.scale,
            "soft_cap": self.soft_cap,
            "window": self.window,
            "position": keras.saving.serialize_keras_object(self.position),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        position = keras.saving.deserialize_keras_object(config["position"])
        return super().from_config({**config, "position": position})


def _both(mask: Any, key_mask: Any) -> Any:
    """The real positions among the keys of self-attention."""
    if mask is None or key_mask is None:
        return key_mask if mask is None else mask
    return ops.logical_and(mask, key_mask)
