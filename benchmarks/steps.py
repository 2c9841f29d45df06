"""One forward pass or one training step of a layer, compiled as `model.fit` compiles it on each backend.

Shapes: B batch, T length, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Step = Callable[[], Any]


def device() -> str:
    """The accelerator's name, or "cpu"."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return "cpu" if first.platform == "cpu" else first.device_kind
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(devices[0])["device_name"] if devices else "cpu"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def wait(result: Any) -> None:
    """Return when the device has computed the result."""
    if keras.backend.backend() == "jax":
        import jax

        jax.block_until_ready(result)
    elif device() != "cpu":
        ops.convert_to_numpy(ops.sum(result))


def compiled(function: Callable[..., Any], *arguments: Any) -> Step:
    """A function of tensors, compiled for these, as a function of no arguments."""
    backend = keras.backend.backend()
    run: Callable[..., Any]
    if backend == "jax":
        import jax

        run = jax.jit(function).lower(*arguments).compile()
    elif backend == "tensorflow":
        import tensorflow as tf

        run = tf.function(function, jit_compile=device() != "cpu").get_concrete_function(*arguments)
    else:
        run = function
    return lambda: run(*arguments)


def forward(layer: Any, x: np.ndarray, mask: dict[str, np.ndarray]) -> Step:
    """The forward pass of a built layer.

    Args:
        layer: (B, T, D) -> (B, T, D).
        x: (B, T, D).
        mask: keyword arguments of the layer.
    """
    backend = keras.backend.backend()
    inputs, masks = _tensors(layer, x, mask)
    if backend == "jax":  # weights are arguments, or they would be folded into the program
        weights = [v.value for v in layer.trainable_variables], [v.value for v in layer.non_trainable_variables]
        return compiled(lambda w, x, m: layer.stateless_call(*w, x, training=False, **m)[0], weights, inputs, masks)
    run = compiled(lambda x, m: layer(x, training=False, **m), inputs, masks)
    return _without_gradients(run) if backend == "torch" else run


def training(layer: Any, x: np.ndarray, mask: dict[str, np.ndarray], target: np.ndarray) -> Step:
    """A step of training: mean squared error, the gradients of the weights, and SGD.

    Args:
        layer: as of `forward`, like `x` and `mask`.
        x: likewise.
        mask: likewise.
        target: (B, T, D).
    """
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build(layer.trainable_variables)
    step = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    return step(layer, optimizer, *_tensors(layer, x, mask), ops.cast(target, layer.compute_dtype))


def _tensors(layer: Any, x: np.ndarray, mask: dict[str, np.ndarray]) -> tuple[Any, dict[str, Any]]:
    return ops.cast(x, layer.compute_dtype), {name: ops.convert_to_tensor(m) for name, m in mask.items()}


def _loss(output: Any, target: Any) -> Any:
    return ops.mean(ops.square(output - target))


def _tensorflow(layer: Any, optimizer: Any, x: Any, mask: Any, target: Any) -> Step:
    import tensorflow as tf

    def train(x: Any, mask: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _loss(layer(x, training=True, **mask), target)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables))
        return loss

    return compiled(train, x, mask, target)


def _jax(layer: Any, optimizer: Any, x: Any, mask: Any, target: Any) -> Step:
    import jax

    def loss(trainable: Any, other: Any, x: Any, mask: Any, target: Any) -> Any:
        output, other = layer.stateless_call(trainable, other, x, training=True, **mask)
        return _loss(output, target), other

    def train(state: Any, x: Any, mask: Any, target: Any) -> Any:
        trainable, other, slots = state
        (value, other), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, other, x, mask, target)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return value, (trainable, other, slots)

    parts = (layer.trainable_variables, layer.non_trainable_variables, optimizer.variables)
    state = jax.tree.map(
        jax.numpy.copy, tuple([v.value for v in part] for part in parts)
    )  # donated, so not the layer's
    advance = jax.jit(train, donate_argnums=0).lower(state, x, mask, target).compile()

    def run() -> Any:
        nonlocal state
        value, state = advance(state, x, mask, target)
        return value

    return run


def _torch(layer: Any, optimizer: Any, x: Any, mask: Any, target: Any) -> Step:
    def run() -> Any:
        layer.zero_grad()
        loss = _loss(layer(x, training=True, **mask), target)
        loss.backward()
        update([weight.value.grad for weight in layer.trainable_variables])
        return loss.detach()

    def apply(gradients: list[Any]) -> None:
        optimizer.apply(gradients, layer.trainable_variables)

    update = _without_gradients(apply)
    return run


def _without_gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    return torch.no_grad()(function)
