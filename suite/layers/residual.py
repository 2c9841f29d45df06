"""The path around a branch: where it is normalised, scaled, dropped and added.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from typing import Any, Literal, Self, TypeAlias, get_args

import keras
from keras import ops

from suite.layers.clone import clone, recipe
from suite.layers.dropout import Dropout
from suite.layers.normalization import LayerNormalization

Norm: TypeAlias = str | Any  # a name, or a layer that is a prototype
Placement: TypeAlias = Literal["pre", "post", "sandwich"]

_NORMS = {"layer": LayerNormalization, "rms": keras.layers.RMSNormalization}


def normalization(norm: Norm, *, dtype: Any, name: str) -> keras.layers.Layer:
    """A new normalisation layer: ``"layer"``, ``"rms"``, or one like the layer given.

    A layer given is a prototype: it is made again from its configuration, with its epsilon and its dtype, as often as
    one is needed.
    """
    if isinstance(norm, keras.layers.Layer):
        layer = clone(norm, name=name)
    elif norm in _NORMS:
        layer = _NORMS[norm](epsilon=1e-6, dtype=dtype, name=name)
    else:
        raise ValueError(f"A norm is expected to be one of {tuple(_NORMS)} or a layer. Received: norm={norm!r}")
    layer.supports_masking = True  # positions do not meet in it, though not every norm of Keras says so
    return layer


@keras.saving.register_keras_serializable(package="suite")
class Residual(keras.layers.Layer):
    """The residual path around one branch f of a block.

    With scale s, dropout d and stochastic depth p, it computes, by `placement`,

    - ``"pre"``: ``x + p(d(s * f(norm(x))))``, which trains without warm-up but leaves the last output to be normalised;
    - ``"post"``: ``norm(x + p(d(s * f(x))))``, as in the original Transformer and BERT;
    - ``"sandwich"``: ``x + p(d(s * outer_norm(f(norm(x)))))``, which bounds what a branch may add.

    The branch itself is not part of the layer: ``path.leave(x, f(path.enter(x)), training=training)``. Both methods are
    hooks for subclasses. Positions do not meet, so no mask is needed.

    Args:
        norm: ``"layer"``, ``"rms"`` (epsilon 1e-6 each), or a layer of which new ones are made.
        placement: where the normalisation stands.
        dropout: the fraction of the branch's features dropped in training.
        drop_path: stochastic depth, the probability that a row of the batch skips the branch in training. What is kept
            is divided by ``1 - drop_path``.
        layer_scale: the first value of a learned scale for each feature of the branch; by default there is none.

    Call arguments:
        inputs: (B, T, D) floating point, what came before the branch.
        branch: (B, T, D), what the branch made of ``enter(inputs)``.

    Returns:
        (B, T, D), what `leave` makes of the two.

    Raises:
        ValueError: where `norm` or `placement` is unknown or a rate is outside 0 to 1.

    Example:

    >>> import numpy as np
    >>> path = Residual("rms", placement="post")
    >>> x = np.ones((2, 3, 4), "float32")
    >>> path.build(x.shape)
    >>> tuple(path.leave(x, np.tanh(path.enter(x))).shape)
    (2, 3, 4)

    Reference: Xiong et al. 2020 (pre and post), https://arxiv.org/abs/2002.04745; Ding et al. 2021, CogView, section
    2.4 (sandwich), https://arxiv.org/abs/2105.13290; Touvron et al. 2021, CaiT, section 2 (layer scale),
    https://arxiv.org/abs/2103.17239; Huang et al. 2016 (stochastic depth), https://arxiv.org/abs/1603.09382. Differs
    from the last: rows are drawn one by one, and what is kept is scaled up in training rather than down afterwards.
    """

    def __init__(
        self,
        norm: Norm = "layer",
        *,
        placement: Placement = "pre",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if placement not in get_args(Placement):
            raise ValueError(
                f"{type(self).__name__} expects placement to be one of {get_args(Placement)}. "
                f"Received: placement={placement!r}"
            )
        if not (0 <= dropout < 1 and 0 <= drop_path < 1):
            raise ValueError(
                f"{type(self).__name__} expects dropout and drop_path from 0 to below 1. "
                f"Received: dropout={dropout}, drop_path={drop_path}"
            )
        policy = self.dtype_policy
        self.placement = placement
        self.layer_scale = layer_scale
        self._norm = recipe(norm)
        self.norm = normalization(norm, dtype=policy, name="norm")
        self.outer_norm = normalization(norm, dtype=policy, name="outer_norm") if placement == "sandwich" else None
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")
        self.drop_path = keras.layers.Dropout(drop_path, noise_shape=(None, 1, 1), dtype=policy, name="drop_path")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weights for (B, T, D)."""
        self.norm.build(input_shape)
        if self.outer_norm is not None:
            self.outer_norm.build(input_shape)
        if self.layer_scale is not None:
            start = keras.initializers.Constant(self.layer_scale)
            self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer=start)

    def enter(self, x: Any) -> Any:
        """A hook. (B, T, D) -> what the branch reads, (B, T, D)."""
        return x if self.placement == "post" else self.norm(x)

    def leave(self, x: Any, branch: Any, *, training: bool | None = None) -> Any:
        """A hook. What came before the branch and what it made, (B, T, D) each -> (B, T, D)."""
        if self.outer_norm is not None:
            branch = self.outer_norm(branch)
        if self.layer_scale is not None:
            branch = ops.multiply(branch, ops.cast(self.scale, branch.dtype))
        x = ops.add(x, self.drop_path(self.dropout(branch, training=training), training=training))
        return self.norm(x) if self.placement == "post" else x

    def call(self, inputs: Any, branch: Any, *, training: bool | None = None) -> Any:
        return self.leave(inputs, branch, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "norm": self._norm,
            "placement": self.placement,
            "dropout": self.dropout.rate,
            "drop_path": self.drop_path.rate,
            "layer_scale": self.layer_scale,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return super().from_config({**config, "norm": keras.saving.deserialize_keras_object(config["norm"])})
