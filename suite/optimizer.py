"""What a model is trained with: loss, optimizer and learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

import keras

from suite.config import TrainConfig
from suite.errors import RunError


def compile_model(model: keras.Model, loss: keras.Loss, config: TrainConfig, steps: int, *, pieces: int = 1) -> None:
    """Gives the model its loss, optimizer and learning-rate schedule.

    Args:
        model: the model.
        loss: called with targets, outputs and weights.
        config: the training table.
        steps: updates of the weights in an epoch.
        pieces: batches come in so many pieces (see `suite.data.batching`), and their gradients are gathered for an
            update: it is that of the whole batch, but for what layers draw at random and, on TensorFlow, the norm by
            which it is clipped: there that of a whole batch's embeddings counts each occurrence of a word by itself.
            A running average of the weights takes in each update in as many parts.

    Raises:
        RunError: batches come in pieces, and the loss is no mean over weights.
    """
    optimizer = _optimizer(config, min(max(1, steps * config.epochs), config.steps or math.inf), pieces)
    if pieces > 1:
        if loss.reduction != "mean_with_sample_weight":
            raise RunError(
                "batches can be cut in pieces for a loss whose reduction is 'mean_with_sample_weight'. Received: "
                f"{loss.reduction!r}"
            )
        loss.reduction = "sum"  # the pieces' weights are shares of the batch's
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale", "embeddings"])
    # On a CPU TensorFlow's own kernels are as fast as XLA's and need no compilation for each shape.
    jit = keras.backend.backend() == "jax" if config.jit == "auto" else config.jit
    model.compile(optimizer=optimizer, loss=loss, jit_compile=jit)


def _optimizer(config: TrainConfig, steps: float, pieces: int) -> keras.optimizers.Optimizer:
    """The optimizer with its schedule over so many steps, each of so many pieces."""
    warmup = round(config.warmup * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        config.learning_rate if not warmup else 0.0,
        decay_steps=max(1, steps - warmup),
        alpha=config.final_learning_rate,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    settings = {
        "learning_rate": Held(schedule, pieces) if pieces > 1 else schedule,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm,
        "use_ema": config.average > 0,
        "ema_momentum": (config.average or 0.99) ** (1 / pieces),  # the average is taken with each piece
        "gradient_accumulation_steps": pieces if pieces > 1 else None,
    }
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(**settings, beta_2=config.beta_2)
    # Keras's Muon itself leaves embeddings, biases and norms to AdamW.
    return keras.optimizers.Muon(
        **settings,
        adam_beta_2=config.beta_2,
        adam_weight_decay=config.weight_decay,
        adam_lr_ratio=config.adam_ratio,
        exclude_layers=config.adam_for,
    )


@keras.saving.register_keras_serializable(package="suite")
class Held(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule over updates, of which each takes several steps; Keras asks for the rate of a step.

    Example:

    >>> schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    >>> [float(Held(schedule, 2)(step)) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, pieces: int):
        self.schedule = schedule
        self.pieces = pieces

    def __call__(self, step: Any) -> Any:
        return self.schedule(keras.ops.floor_divide(step, self.pieces))

    def get_config(self) -> dict[str, Any]:
        return {"schedule": keras.optimizers.schedules.serialize(self.schedule), "pieces": self.pieces}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Held:
        return cls(keras.optimizers.schedules.deserialize(config["schedule"]), config["pieces"])
