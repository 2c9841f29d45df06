"""Fused attention: the backend's own kernel, flash attention where it has one.

Shapes: B batch, T query length, S key length, H heads, W head width, V value head width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.mask import AttentionMask

_CLOSED = -1e30


@keras.saving.register_keras_serializable(package="suite")
class FusedAttention(MultiHeadAttention):
    """`MultiHeadAttention` whose contexts come from `keras.ops.dot_product_attention`.

    The contexts are those of `MultiHeadAttention`, and so is what can be asked of it; only the kernel differs. The
    kernel never makes the weights: where they are wanted (`return_weights`, `capture_attention`) they are computed
    beside it. What it cannot do is left to `MultiHeadAttention`: dropout in training, a soft cap, an override of
    `score`, `weigh` or `logits` in a subclass, and in float16 a bias.

    PyTorch and JAX have flash kernels on accelerators, TensorFlow has none. A mask beyond `causal` makes most of them
    step aside for the backend's other kernels.

    Masking: as `MultiHeadAttention`. A bias is rounded to the type of the queries.

    Args:
        heads: their number, H; all other arguments are `MultiHeadAttention`'s.
        flash: whether a flash kernel must be used, which is an error where there is none; by default, where it can.

    Call arguments:
        as `MultiHeadAttention`'s.

    Returns:
        as `MultiHeadAttention`; weights are those without dropout wherever the kernel ran.

    Raises:
        ValueError: as `MultiHeadAttention`.

    Example:

    >>> import numpy as np
    >>> tuple(FusedAttention(2, dropout=0.1)(np.ones((3, 5, 8), "float32"), causal=True).shape)
    (3, 5, 8)

    Reference: Dao et al. 2022, FlashAttention, https://arxiv.org/abs/2205.14135.
    """

    def __init__(self, heads: int, *, flash: bool | None = None, **kwargs: Any) -> None:
        super().__init__(heads, **kwargs)
        self.flash = flash

    def attend(self, query: Any, key: Any, value: Any, mask: AttentionMask, *, training: bool | None) -> Any:
        """Queries (B, H, T, W), keys (B, H, S, W), values (B, H, S, V) -> contexts (B, H, T, V), no weights."""
        bias = mask.scores_bias()
        half = keras.backend.standardize_dtype(query.dtype) == "float16"
        if self._beyond_kernel(training) or (half and bias is not None):
            return super().attend(query, key, value, mask, training=training)
        triangle = bias is None and _only_causal(mask)  # for which flash kernels need no mask
        allowed = None if triangle else mask.allowed()
        closed = allowed
        if bias is not None and allowed is not None:  # PyTorch takes one of the two
            bias, closed = ops.where(allowed, bias, ops.cast(_CLOSED, bias.dtype)), None
        scale = query.shape[-1] ** -0.5 if self.scale is None else self.scale
        kernel_type = "float32" if half and keras.backend.backend() == "tensorflow" else query.dtype
        query = query * ops.cast(scale, query.dtype)  # before the product, which float16 might not hold
        width = max(query.shape[-1], value.shape[-1])  # kernels want one width for all; zeros change nothing
        context = ops.dot_product_attention(
            *(ops.cast(_turn(_widen(x, width)), kernel_type) for x in (query, key, value)),
            bias=None if bias is None else ops.cast(_full_rank(bias), kernel_type),
            mask=_full_rank(closed),
            scale=1.0,
            is_causal=triangle,
            flash_attention=self.flash,
        )
        context = ops.cast(_turn(context)[..., : value.shape[-1]], value.dtype)  # (B, H, T, V)
        if allowed is not None:  # the kernels read all keys where none is open
            open_rows = ops.any(allowed, axis=-1, keepdims=True)  # broadcastable to (B, H, T, 1)
            context = ops.where(open_rows, context, ops.zeros_like(context))
        return context, None

    def _beyond_kernel(self, training: bool | None) -> bool:
        cls, base = type(self), MultiHeadAttention
        overridden = any(getattr(cls, hook) is not getattr(base, hook) for hook in ("score", "weigh", "logits"))
        return overridden or self.soft_cap is not None or bool(training and self.dropout.rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "flash": self.flash}


def _only_causal(mask: AttentionMask) -> bool:
    """Whether all that masks close is the future, in self-attention without a cache."""
    parts = (mask.query, mask.key, mask.pair, mask.window)
    return mask.causal and mask.query_order is mask.key_order and all(part is None for part in parts)


def _turn(x: Any) -> Any:
    """(B, H, T, W) -> (B, T, H, W), and back."""
    return ops.transpose(x, (0, 2, 1, 3))


def _widen(x: Any, width: int) -> Any:
    """(..., W) -> (..., width), filled up with zeros."""
    missing = width - x.shape[-1]
    return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, missing))) if missing else x


def _full_rank(x: Any) -> Any:
    """Leading axes of 1, up to four axes."""
    return x if x is None else ops.reshape(x, (*(1,) * (4 - len(x.shape)), *ops.shape(x)))
