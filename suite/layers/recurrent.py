"""LSTM and GRU with gradients of their own, both directions in one loop.

Shapes: B batch, T length, D width of the inputs, H units, G of all gates together (4 H or 3 H), N directions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Tensors = tuple[Any, ...]


class _OneDirection(keras.layers.Layer):
    """What stands before a layer of Keras among the bases of `LSTM` and `GRU`."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = False) -> Any:
        if initial_state is not None or self.go_backwards or not _applies(self):
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        return _outputs([self], sequences, mask)


@keras.saving.register_keras_serializable(package="suite")
class LSTM(_OneDirection, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster in training.

    ``c' = f c + i g`` and ``h' = o tanh(c')`` with ``[i, f, g, o] = x W + h U + b``, sigmoids of all and tanh of g.

    With Keras's default activations and bias, all outputs returned, from the first to the last and without dropout,
    the layer has a gradient of its own, whose loop keeps states and gates alone; otherwise, and on an accelerator,
    whose kernels are faster, it is Keras's layer. Values and gradients are the same but for rounding.

    Masking: a position that is False in `mask` passes the state on and repeats the output before it, or is zero with
    `zero_output_for_mask`.

    Args, `Call arguments`, `Returns` and `Raises` are those of Keras's layer.

    Example:

    >>> import numpy as np
    >>> tuple(LSTM(3, return_sequences=True)(np.ones((2, 5, 4), "float32")).shape)
    (2, 5, 3)

    Reference: Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, with the forget gate of
    Gers et al. 2000.
    """


@keras.saving.register_keras_serializable(package="suite")
class GRU(_OneDirection, keras.layers.GRU):
    """`keras.layers.GRU`, faster in training, under the conditions of `LSTM` and with `reset_after`.

    ``h' = z h + (1 - z) n`` with ``n = tanh(x W_n + b_n + r (h U_n + c_n))`` and the sigmoids z and r of
    ``x W + b + h U + c``.

    Masking, `Args`, `Call arguments`, `Returns` and `Raises` are those of `LSTM` and of Keras's layer.

    Example:

    >>> import numpy as np
    >>> tuple(GRU(3, return_sequences=True)(np.ones((2, 5, 4), "float32")).shape)
    (2, 5, 3)

    Reference: Cho et al. 2014, https://arxiv.org/abs/1406.1078. Differs from the paper: the reset gate comes after the
    product with the state, as in cuDNN.
    """


@keras.saving.register_keras_serializable(package="suite")
class Bidirectional(keras.layers.Bidirectional):
    """`keras.layers.Bidirectional`, which takes LSTM or GRU of both directions through one loop where `LSTM` may.

    Masking: a position that is False in `mask` passes the states on and gives zeros.

    Args, `Call arguments`, `Returns` and `Raises` are those of Keras's layer.

    Example:

    >>> import numpy as np
    >>> tuple(Bidirectional(LSTM(3, return_sequences=True))(np.ones((2, 5, 4), "float32")).shape)
    (2, 5, 6)

    Reference: Schuster and Paliwal 1997, https://doi.org/10.1109/78.650093.
    """

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        pair = [self.forward_layer, self.backward_layer]
        alike = type(pair[0]) is type(pair[1]) and pair[0].units == pair[1].units and self.merge_mode == "concat"
        if initial_state is not None or pair[0].go_backwards or not alike or not all(map(_applies, pair)):
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        return ops.cast(_outputs(pair, sequences, mask), self.compute_dtype)


def _applies(layer: Any) -> bool:
    """Whether a layer is what the loop below computes, and no accelerator has a kernel for it."""
    return (
        isinstance(layer, keras.layers.LSTM | keras.layers.GRU)
        and (layer.activation, layer.recurrent_activation) == (keras.activations.tanh, keras.activations.sigmoid)
        and layer.use_bias
        and getattr(layer, "reset_after", True)
        and layer.return_sequences
        and not (layer.return_state or layer.stateful or layer.unroll or layer.dropout or layer.recurrent_dropout)
        and not _accelerated()
    )


def _accelerated() -> bool:
    if keras.backend.backend() == "torch":  # which lists no devices; shapes alone are inferred on "meta"
        return ops.zeros(()).device.type not in ("cpu", "meta")
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


def _outputs(layers: Sequence[Any], x: Any, mask: Any) -> Any:
    """Inputs (B, T, D) and their mask (B, T) or None -> outputs (B, T, N H) of a layer for each direction."""
    cells, dtype = [layer.cell for layer in layers], layers[0].compute_dtype
    kind = _GRU if isinstance(layers[0], keras.layers.GRU) else _LSTM
    x = ops.transpose(ops.cast(x, dtype), (1, 0, 2))  # (T, B, D)
    names = ("kernel", "recurrent_kernel", "bias")
    weights = [ops.cast(getattr(cell, name), dtype) for name in names for cell in cells]
    if mask is None:
        hold = ops.zeros((), dtype)
    else:
        real = ops.transpose(ops.cast(mask, "bool"))[..., None]  # (T, B, 1)
        hold = ops.cast(ops.logical_not(real), dtype)
        x = ops.where(real, x, ops.zeros_like(x))  # padding may be anything, even no number
    y = _sequence(kind, len(cells))(x, hold, *weights)  # (T, B, N H)
    if mask is not None and layers[0].zero_output_for_mask:
        y = ops.where(real, y, ops.zeros_like(y))
    return ops.transpose(y, (1, 0, 2))


@dataclasses.dataclass(frozen=True)
class _Cell:
    """One step of a cell, and its gradient.

    Args:
        states: how many there are, of which the first is the output.
        forward: the products of input and state with their weights (N, B, G), states (N, B, H) each, and 1 where a
            padding holds the states, else 0, (N, B, 1) or None -> new states, and four values that `backward` reads.
        backward: the states' gradients, the states before and after, what `forward` kept, and as there -> gradients
            of the two products, and of the states before, without what comes by the product; None is nothing.
    """

    states: int
    forward: Callable[[Any, Any, Tensors, Any], tuple[Tensors, Tensors]]
    backward: Callable[[Tensors, Tensors, Tensors, Tensors, Any], tuple[Any, Any, Tensors]]


def _lstm_forward(x: Any, inner: Any, state: Tensors, hold: Any) -> tuple[Tensors, Tensors]:
    i, f, g, o = ops.split(x + inner, 4, axis=-1)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    if hold is not None:  # nothing in, nothing forgotten and nothing out, so that the gradient needs no mask
        i, f, o = i * (1 - hold), ops.maximum(f, hold), o * (1 - hold)
    c = f * state[1] + i * g
    h = o * ops.tanh(c)
    return (h if hold is None else h + hold * state[0], c), (i, f, g, o)


def _lstm_backward(
    slope: Tensors, before: Tensors, after: Tensors, kept: Tensors, hold: Any
) -> tuple[Any, Any, Tensors]:
    (dh, dc), (i, f, g, o), t = slope, kept, ops.tanh(after[1])
    do = dh * o
    dt = do * t
    dc = dc + (do - dt * t)
    dg, df = dc * i, dc * f
    di, dk = dg * g, df * before[1]
    dz = ops.concatenate([di - di * i, dk - dk * f, dg - di * g, dt - dt * o], axis=-1)  # (N, B, G)
    return dz, dz, (None if hold is None else dh * hold, df)


def _gru_forward(x: Any, inner: Any, state: Tensors, hold: Any) -> tuple[Tensors, Tensors]:
    (x_z, x_r, x_n), (h_z, h_r, h_n) = ops.split(x, 3, axis=-1), ops.split(inner, 3, axis=-1)
    z, r = ops.sigmoid(x_z + h_z), ops.sigmoid(x_r + h_r)
    if hold is not None:
        z = ops.maximum(z, hold)
    n = ops.tanh(x_n + r * h_n)
    return (z * state[0] + (1 - z) * n,), (z, r, n, h_n)


def _gru_backward(
    slope: Tensors, before: Tensors, after: Tensors, kept: Tensors, hold: Any
) -> tuple[Any, Any, Tensors]:
    (dh,), (z, r, n, h_n) = slope, kept
    held = dh * z
    dn = dh - held
    dz = dn * (before[0] - n) * z
    dn = dn - dn * n * n
    dr = dn * r * h_n
    dr = dr - dr * r
    return ops.concatenate([dz, dr, dn], axis=-1), ops.concatenate([dz, dr, dn * r], axis=-1), (held,)


_LSTM, _GRU = _Cell(2, _lstm_forward, _lstm_backward), _Cell(1, _gru_forward, _gru_backward)
_KEPT = 4


def _sequence(cell: _Cell, directions: int) -> Callable[..., Any]:
    """A function from inputs (T, B, D), what holds (T, B, 1), or a scalar, and weights to outputs (T, B, N H).

    The weights are for each direction a kernel (D, G), then a recurrent kernel (H, G) each, then biases, (G,) or, where
    the recurrent product has its own, (2, G).

    Derived from the operations, the gradient would keep every intermediate value of every step, which costs TensorFlow
    as much as computing them. This one keeps states and gates. A step is a few operations on values small enough for a
    processor's cache; the weights' gradients are a product each after the loop.
    """

    @ops.custom_gradient
    def outputs(x: Any, hold: Any, *weights: Any) -> tuple[Any, Callable[..., Any]]:
        kernels, recurrent_kernels, biases = (weights[k * directions : (k + 1) * directions] for k in range(3))
        length, batch, width = ops.shape(x)[0], ops.shape(x)[1], x.shape[-1]
        units, gates = recurrent_kernels[0].shape
        apart = len(biases[0].shape) == 2
        masked = len(hold.shape) > 0
        kernel, recurrent_kernel, bias = ops.stack(kernels), ops.stack(recurrent_kernels), ops.stack(biases)
        bias = bias[:, :, None] if apart else bias[:, None, None]  # (N, 2 or 1, 1, G)
        steps = ops.arange(length, dtype="int32")
        zero = ops.zeros((directions, batch, units), x.dtype)

        def at(parts: Sequence[Any], t: Any) -> Any:
            """Step t of each direction, (N, B, ...), of (T, B, ...) each; the second one starts at the end."""
            return ops.stack([part[t if n == 0 else length - 1 - t] for n, part in enumerate(parts)])

        def holding(t: Any) -> Any:
            return at([hold] * directions, t) if masked else None

        def forward(carry: Tensors, t: Any) -> tuple[Tensors, Tensors]:
            state = carry[: cell.states]
            inner = ops.matmul(state[0], recurrent_kernel)  # (N, B, G)
            inner = inner + bias[:, 1] if apart else inner
            new, kept = cell.forward(ops.matmul(at([x] * directions, t), kernel) + bias[:, 0], inner, state, holding(t))
            return (*new, *kept), (*new, *kept)  # TensorFlow's scan gives back what it carries

        _, passed = ops.scan(forward, (zero,) * (cell.states + _KEPT), steps)  # (T, N, B, H) each
        after, kept = passed[: cell.states], passed[cell.states :]
        y = ops.concatenate(_in_order([after[0][:, n] for n in range(directions)]), axis=-1)  # (T, B, N H)

        def gradient(*arguments: Any, upstream: Any = None) -> Tensors:
            upstream = ops.split(arguments[0] if upstream is None else upstream, directions, axis=-1)
            before = tuple(ops.concatenate([zero[None], state[:-1]], axis=0) for state in after)  # (T, N, B, H) each
            back = ops.transpose(recurrent_kernel, (0, 2, 1))

            def backward(carry: Tensors, t: Any) -> tuple[Tensors, Tensors]:
                slope = (carry[0] + at(upstream, t), *carry[1 : cell.states])
                was, new, gates_now = (tuple(part[t] for part in parts) for parts in (before, after, kept))
                dx, dinner, earlier = cell.backward(slope, was, new, gates_now, holding(t))
                dh = ops.matmul(dinner, back)
                earlier = (dh if earlier[0] is None else earlier[0] + dh, *earlier[1:])
                made = [part for parts in ((dx, dinner) if apart else (dx,)) for part in ops.unstack(parts, directions)]
                return (*earlier, *made), (*earlier, *made)

            wide = ops.zeros((batch, gates), x.dtype)
            start = (zero,) * cell.states + (wide,) * (directions * (2 if apart else 1))
            _, made = ops.scan(backward, start, steps, reverse=True)
            made = [ops.reshape(part, (-1, gates)) for part in made[cell.states :]]  # (T B, G) each
            projected, inner = made[:directions], made[-directions:]
            rows = [ops.reshape(part, (-1, width)) for part in _in_order([x] * directions)]
            states = [ops.reshape(before[0][:, n], (-1, units)) for n in range(directions)]
            ones = ops.ones((1, length * batch), x.dtype)  # a product with them is faster than a sum
            parts = [ops.matmul(d, ops.transpose(k)) for d, k in zip(projected, kernels, strict=True)]
            dx = sum(_in_order([ops.reshape(part, ops.shape(x)) for part in parts]))
            dbias = [ops.matmul(ones, d) for d in projected]  # (1, G) each
            if apart:
                second = [ops.matmul(ones, d) for d in inner]
                dbias = [ops.concatenate(pair, axis=0) for pair in zip(dbias, second, strict=True)]
            return (
                dx,
                ops.zeros_like(hold),
                *(ops.matmul(ops.transpose(a), d) for a, d in zip(rows, projected, strict=True)),
                *(ops.matmul(ops.transpose(a), d) for a, d in zip(states, inner, strict=True)),
                *(d if apart else d[0] for d in dbias),
            )

        return y, gradient

    return outputs


def _in_order(parts: Sequence[Any]) -> list[Any]:
    """(T, ...) of each direction, the second one turned around."""
    length = ops.shape(parts[0])[0]
    turned = length - 1 - ops.arange(length, dtype="int32")
    return [part if n == 0 else ops.take(part, turned, axis=0) for n, part in enumerate(parts)]
