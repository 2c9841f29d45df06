"""Training a model: optimizer and schedule, the best epoch by validation score, checkpoints from which a run continues.

A checkpoint holds everything that the next epoch depends on: weights, random state, optimizer, the best weights so far
and the counters. The order of the data follows from the seed and the epoch. So a run that was killed and resumed ends
with the weights of one that never stopped.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from suite.config import TrainConfig
from suite.console import Reporter
from suite.data.batching import Batches
from suite.errors import InputError
from suite.files import write_atomically

CHECKPOINT = "checkpoint.npz"


@dataclasses.dataclass
class Progress:
    """How far training has come. All of it is in the checkpoint.

    Args:
        epoch: epochs finished.
        best_epoch, best_score: the epoch (from 1) whose validation score was best, and the score.
        steps, examples: training steps taken and examples seen.
        train_seconds: wall-clock time of training and validation, compilation left out.
        compile_seconds: what the first step of each shape took beyond a usual step of that shape.
        step_seconds: wall-clock time of the training steps alone, compilation left out.
        history: one mapping an epoch: epoch, loss, score, seconds.
        stopped: why training ended before the last epoch, or nothing.
        diverged: the reason, where the loss was no longer a number.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    steps: int = 0
    examples: int = 0
    train_seconds: float = 0.0
    compile_seconds: float = 0.0
    step_seconds: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    stopped: str = ""
    diverged: str = ""


def fit(
    model: keras.Model,
    train: Batches,
    *,
    validate: Callable[[], float],
    higher_is_better: bool,
    config: TrainConfig,
    reporter: Reporter,
    directory: Path,
) -> Progress:
    """Trains until the last epoch, or until validation has not improved for `config.patience` epochs.

    The model must be compiled (see `compile_model`) and is left with the weights of its best epoch. A checkpoint in the
    directory is continued from, and removed by the caller once the run's results are safe.

    Args:
        model: a compiled model.
        train: the training batches.
        validate: the validation score of the model as it is.
        higher_is_better: the score's direction.
        config: the training table.
        reporter: where progress is shown.
        directory: where checkpoints go.
    """
    loop = _Loop(
        train,
        validate=validate,
        higher_is_better=higher_is_better,
        config=config,
        reporter=reporter,
        path=directory / CHECKPOINT,
    )
    model.optimizer.build(model.trainable_variables)
    if loop.path.is_file():
        loop.load(model)
    progress = loop.progress
    if not progress.stopped and progress.epoch < config.epochs:
        feed = _Feed(train, first_epoch=progress.epoch)
        model.fit(feed, epochs=config.epochs, initial_epoch=progress.epoch, callbacks=[loop], verbose=0)
    if loop.best is not None:
        _assign(model.variables, loop.best)
    return progress


def compile_model(model: keras.Model, loss: keras.Loss, config: TrainConfig, steps: int) -> None:
    """Gives the model its loss, optimizer and learning-rate schedule.

    Args:
        model: the model.
        loss: called with targets, outputs and weights.
        config: the training table.
        steps: training steps in an epoch.
    """
    total = max(1, steps * config.epochs)
    warmup = round(config.warmup * total)
    schedule = keras.optimizers.schedules.CosineDecay(
        config.learning_rate if not warmup else 0.0,
        decay_steps=max(1, total - warmup),
        alpha=config.final_learning_rate,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm, beta_2=0.98
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale", "embeddings"])
    # XLA pays on a GPU; on a CPU TensorFlow's own kernels are as fast and need no compilation for each shape.
    jit = keras.backend.backend() == "jax" if config.jit == "auto" else config.jit
    model.compile(optimizer=optimizer, loss=loss, jit_compile=jit)


def predict(model: keras.Model, batches: Batches) -> list[np.ndarray]:
    """The model's output for each example of a split, in the split's order, padding cut off, as float32.

    Args:
        model: a model with one output of shape (B, ...) or (B, L, ...).
        batches: the split.
    """
    outputs: list[np.ndarray] = [np.empty(0)] * len(batches.encoded)
    padded = batches.spec.target.shape[:1] == (None,)
    for index in range(len(batches)):
        batch = batches[index]
        values = keras.ops.convert_to_numpy(model.predict_on_batch(batch.inputs)).astype("float32")
        for row, value in zip(batch.rows, values, strict=True):
            if row >= 0:
                outputs[row] = value[: batches.lengths[row]] if padded else value
    return outputs


class _Feed(keras.utils.PyDataset):
    """The batches in the form that `Model.fit` takes, ordered anew for each epoch."""

    def __init__(self, batches: Batches, *, first_epoch: int):
        super().__init__()
        self.batches = batches
        self.epoch = first_epoch
        # Keras reads off the first two batches which axes vary: show it the longest and the shortest.
        batches.start_epoch(None)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        batch = self.batches[index]
        return batch.inputs, batch.targets, batch.weights

    def on_epoch_begin(self) -> None:
        self.batches.start_epoch(self.epoch)
        self.epoch += 1


class _Loop(keras.callbacks.Callback):
    """Watches the steps, chooses the best epoch, writes checkpoints."""

    def __init__(
        self,
        train: Batches,
        *,
        validate: Callable[[], float],
        higher_is_better: bool,
        config: TrainConfig,
        reporter: Reporter,
        path: Path,
    ):
        super().__init__()
        self.train = train
        self.validate = validate
        self.sign = 1.0 if higher_is_better else -1.0
        self.config = config
        self.reporter = reporter
        self.path = path
        self.progress = Progress()
        self.best: list[np.ndarray] | None = None
        self.step_times: dict[int, list[float]] = {}
        self.compiled: set[int] = set()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch_start = self.step_end = time.perf_counter()
        self.step_times = {}
        self.reporter.epoch(epoch + 1, self.config.epochs, len(self.train))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        self.step_times.setdefault(self.train.plan.lengths[batch], []).append(now - self.step_end)
        self.step_end = now
        loss = float((logs or {}).get("loss", math.nan))
        self.reporter.step(batch + 1, loss)
        if not math.isfinite(loss):
            self.progress.diverged = f"the loss is {loss} in epoch {self.progress.epoch + 1}, step {batch + 1}"
            self.model.stop_training = True
        elif self._out_of_time(now):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        progress = self.progress
        if progress.diverged:
            progress.stopped = progress.diverged
            return
        score = float(self.validate())
        if progress.best_score is None or self.sign * score > self.sign * progress.best_score:
            progress.best_score, progress.best_epoch = score, epoch + 1
            self.best = [keras.ops.convert_to_numpy(variable) for variable in self.model.variables]
        self._count_time()
        loss = float((logs or {}).get("loss", math.nan))
        seconds = time.perf_counter() - self.epoch_start
        progress.history.append({"epoch": epoch + 1, "loss": loss, "score": score, "seconds": round(seconds, 3)})
        self.reporter.epoch_end(epoch + 1, loss, score, best=progress.best_epoch == epoch + 1)
        progress.epoch = epoch + 1
        if progress.epoch == self.config.epochs:
            progress.stopped = f"trained all {self.config.epochs} epochs"
        elif self._out_of_time(time.perf_counter(), ended=True):
            progress.stopped = f"stopped by max_minutes={self.config.max_minutes:g} in epoch {progress.epoch}"
        elif progress.epoch - progress.best_epoch >= self.config.patience:
            progress.stopped = f"no better validation score in {self.config.patience} epochs"
        self.model.stop_training = bool(progress.stopped)
        self.save()

    def _out_of_time(self, now: float, *, ended: bool = False) -> bool:
        if self.config.max_minutes is None:
            return False
        spent = self.progress.train_seconds + self.progress.compile_seconds + (0 if ended else now - self.epoch_start)
        return spent > 60 * self.config.max_minutes

    def _count_time(self) -> None:
        """Adds this epoch's times. A shape's first step is compiled; what it took beyond a usual step is set apart."""
        compiling = 0.0
        for length, times in self.step_times.items():
            if length not in self.compiled:
                usual = float(np.median(times[1:])) if len(times) > 1 else 0.0
                compiling += max(0.0, times[0] - usual)
                self.compiled.add(length)
        progress = self.progress
        progress.compile_seconds += compiling
        progress.train_seconds += time.perf_counter() - self.epoch_start - compiling
        progress.step_seconds += sum(map(sum, self.step_times.values())) - compiling
        steps = sum(map(len, self.step_times.values()))
        progress.steps += steps
        progress.examples += sum(len(members) for members in self.train.plan.batches[:steps])

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all."""
        arrays: dict[str, np.ndarray] = {"progress": np.array(json.dumps(dataclasses.asdict(self.progress)))}
        for name, variables in self._state(self.model).items():
            arrays |= {f"{name}/{i}": keras.ops.convert_to_numpy(variable) for i, variable in enumerate(variables)}
        arrays |= {f"best/{i}": value for i, value in enumerate(self.best or ())}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write_atomically(self.path, buffer.getvalue())

    def load(self, model: keras.Model) -> None:
        """Continues from the checkpoint."""
        try:
            with np.load(self.path) as arrays:
                self.progress = Progress(**json.loads(str(arrays["progress"])))
                for name, variables in self._state(model).items():
                    _assign(variables, [arrays[f"{name}/{i}"] for i in range(len(variables))])
                if "best/0" in arrays:
                    self.best = [arrays[f"best/{i}"] for i in range(len(model.variables))]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{self.path}: not a checkpoint of this model: {error}") from error

    @staticmethod
    def _state(model: keras.Model) -> dict[str, list[keras.Variable]]:
        return {"model": model.variables, "optimizer": model.optimizer.variables}


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
