"""Training a model: the best epoch by validation score, checkpoints from which a run continues.

A checkpoint (see `suite.checkpoint`) holds everything that the next step depends on: weights, random state, optimizer,
the best weights so far and the counters. The order of the data follows from the seed and the epoch. So a run that was
killed and resumed ends with the weights of one that never stopped. One is written after each epoch, and every few
minutes in a long one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from suite import backend, checkpoint
from suite.checkpoint import Kept, assign, values
from suite.config import TrainConfig
from suite.console import Reporter
from suite.data.batching import Batches
from suite.errors import InputError
from suite.profile import Profile, Window

CHECKPOINT = "checkpoint.npz"
SAVE_EVERY = 300.0  # seconds within an epoch


@dataclasses.dataclass
class Progress:
    """How far training has come. All of it is in the checkpoint.

    Args:
        epoch: epochs finished.
        epoch_steps, epoch_loss, epoch_seconds: steps taken of the epoch under way, their mean loss, their time.
        best_epoch, best_score: the epoch (from 1) whose validation score was best, and the score.
        steps, examples, tokens: training steps taken, examples seen, their places without padding.
        pieces: in how many pieces each batch was given, a step for each.
        train_seconds: wall-clock time of training and validation, compilation left out.
        compile_seconds: what the first step of each shape took beyond a usual step of that shape.
        step_seconds: wall-clock time of the training steps alone, compilation left out.
        history: one mapping an epoch: epoch, loss, score, seconds, further validation scores.
        stopped: why training ended before the last epoch, or nothing.
        diverged: the reason, where the loss was no longer a number.
    """

    epoch: int = 0
    epoch_steps: int = 0
    epoch_loss: float = 0.0
    epoch_seconds: float = 0.0
    best_epoch: int = 0
    best_score: float | None = None
    steps: int = 0
    examples: int = 0
    tokens: int = 0
    pieces: int = 1
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
    validate: Callable[[], Mapping[str, float]],
    selects: str,
    higher_is_better: bool,
    config: TrainConfig,
    reporter: Reporter,
    directory: Path,
    profile: Profile | None = None,
) -> Progress:
    """Trains until the last epoch, or until validation has not improved for `config.patience` epochs.

    The model must be compiled (see `suite.optimizer`) and is left with the weights of its best epoch, or with the mean
    of the last `config.average_last` epochs' where that is better on validation. A checkpoint in the directory is
    continued from; the caller removes it once the run's results are safe.

    Args:
        model: a compiled model.
        train: the training batches.
        validate: the validation scores of the model as it is.
        selects: the one of them that chooses the best epoch.
        higher_is_better: its direction.
        config: the training table.
        reporter: where progress is shown.
        directory: where checkpoints go.
        profile: counts what took how long.
    """
    profile = profile or Profile()
    path = directory / CHECKPOINT
    with profile.part("build"):
        model.optimizer.build(model.trainable_variables)
    progress, kept = _load(path, model) if path.is_file() else (Progress(pieces=train.pieces), Kept())
    clock = _Clock(progress, max_minutes=config.max_minutes)

    def save(model: keras.Model) -> None:
        with profile.part("saving"):
            checkpoint.save(path, model, dataclasses.asdict(progress), kept)

    def scored() -> Mapping[str, float]:
        with profile.part("validation"):
            return validate()

    while not progress.stopped:
        clock.start()
        train.start_epoch(progress.epoch)
        reporter.epoch(progress.epoch + 1, config.epochs, len(train))
        with profile.part("training"):
            feed = Feed(train, first=progress.epoch_steps)
            steps = _Steps(feed, clock, reporter, save, profile, limit=train.pieces * (config.steps or math.inf))
            with contextlib.closing(steps.window):
                model.fit(
                    backend.fed(feed),
                    initial_epoch=progress.epoch,
                    epochs=progress.epoch + 1,
                    callbacks=[steps],
                    shuffle=False,  # the batches have their order, and Keras's shuffling could not be resumed
                    verbose=0,
                )
        if steps.diverged:
            progress.diverged = progress.stopped = f"{steps.diverged} in epoch {progress.epoch + 1}"
            break
        if config.average:
            # On JAX the weights now share their memory with the averages, and predicting gives that memory away.
            assign(model.trainable_variables, values(model.trainable_variables))
        # Where weights are averaged, the model now holds the average, and training goes on from the weights themselves.
        scores = scored()
        score = float(scores[selects])
        clock.count(steps)
        loss, seconds = progress.epoch_loss, progress.epoch_seconds
        progress.epoch += 1
        progress.epoch_steps, progress.epoch_loss, progress.epoch_seconds = 0, 0.0, 0.0
        if _is_better(score, progress.best_score, higher_is_better):
            progress.best_score, progress.best_epoch = score, progress.epoch
            kept.best = values(model.variables)
        others = {f"validation_{name}": float(value) for name, value in scores.items() if name != selects}
        entry = {"epoch": progress.epoch, "loss": loss, "score": score, "seconds": round(seconds, 3)}
        progress.history.append(entry | others)
        reporter.epoch_end(progress.epoch, loss, score, best=progress.best_epoch == progress.epoch)
        progress.stopped = _reason_to_stop(progress, config, out_of_time=clock.out_of_time())
        assign(model.trainable_variables, steps.weights)
        kept.last = [*kept.last, steps.weights][-config.average_last :] if config.average_last else []
        save(model)
    if len(kept.last) > 1 and not progress.diverged:
        _try_mean(model, progress, kept, lambda: float(scored()[selects]), higher_is_better)
    if kept.best:
        assign(model.variables, kept.best)
    return progress


def _try_mean(
    model: keras.Model, progress: Progress, kept: Kept, validate: Callable[[], float], higher_is_better: bool
) -> None:
    """Keeps the mean of the last epochs' weights where validation says that it is better than the best epoch."""
    assign(model.trainable_variables, [np.mean(each, axis=0) for each in zip(*kept.last, strict=True)])
    score = validate()
    if _is_better(score, progress.best_score, higher_is_better):
        progress.best_score, kept.best = score, values(model.variables)
        progress.stopped += f"; the mean of the last {len(kept.last)} epochs' weights is kept"


def _load(path: Path, model: keras.Model) -> tuple[Progress, Kept]:
    progress, kept = checkpoint.load(path, model)
    try:
        return Progress(**progress), kept
    except TypeError as error:
        raise InputError(f"{path}: not a checkpoint of this version: {error}") from error


def _is_better(score: float, best: float | None, higher_is_better: bool) -> bool:
    return best is None or (score > best if higher_is_better else score < best)


def _reason_to_stop(progress: Progress, config: TrainConfig, *, out_of_time: bool) -> str:
    if progress.epoch == config.epochs:
        return f"trained all {config.epochs} epochs"
    if config.steps is not None and progress.steps >= progress.pieces * config.steps:
        return f"trained all {config.steps:,} steps"
    if out_of_time:
        return f"stopped by max_minutes={config.max_minutes:g} in epoch {progress.epoch}"
    if progress.epoch - progress.best_epoch >= config.patience:
        return f"no better validation score in {config.patience} epochs"
    return ""


def try_step(model: keras.Model, train: Batches) -> None:
    """One training step on the longest batch, to see whether it fits in memory."""
    batch = train[int(np.argmax(train.plan.lengths))]
    model.train_on_batch(batch.inputs, batch.targets, sample_weight=batch.weights)


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


class Feed(keras.utils.PyDataset):
    """One epoch's batches, from the first that is left, in the form that `Model.fit` takes."""

    def __init__(self, batches: Batches, *, first: int):
        # Two threads read ahead where examples have to be loaded; their order stays as it is.
        super().__init__(workers=2 if batches.lazy else 1, max_queue_size=8)
        self.batches = batches
        self.first = first
        self.thread = threading.get_ident()
        self.waited: list[float] = []  # seconds of the batches that were made while nothing else was done
        self.ahead: list[float] = []  # and of those that other threads made

    def __len__(self) -> int:
        return len(self.batches) - self.first

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        began = time.perf_counter()
        batch = self.batches[self.first + index]
        seconds = self.waited if threading.get_ident() == self.thread else self.ahead
        seconds.append(time.perf_counter() - began)
        return batch.inputs, batch.targets, batch.weights


class _Clock:
    """Counts time and examples into the progress; a shape's compilation is set apart from usual steps."""

    def __init__(self, progress: Progress, *, max_minutes: float | None):
        self.progress = progress
        self.max_seconds = math.inf if max_minutes is None else 60 * max_minutes
        self.compiled: set[int] = set()
        self.start()

    def start(self) -> None:
        """Time is counted from here."""
        self.began = time.perf_counter()

    def count(self, steps: _Steps) -> None:
        """Adds what was done since the last count: the steps, their loss, and all time with what lay between them.

        A shape's first step is compiled; what it took beyond a usual step counts as compilation.
        """
        compiling = 0.0
        for length, times in steps.seconds.items():
            if length not in self.compiled:
                compiling += max(0.0, times[0] - float(np.median(times[1:]))) if len(times) > 1 else 0.0
                self.compiled.add(length)
        seconds = time.perf_counter() - self.began
        progress, done = self.progress, sum(map(len, steps.seconds.values()))
        progress.compile_seconds += compiling
        progress.train_seconds += seconds - compiling
        progress.step_seconds += sum(map(sum, steps.seconds.values())) - compiling
        progress.steps += done
        seen = steps.batches.plan.batches[steps.at - done : steps.at]
        progress.examples += sum(map(len, seen))
        progress.tokens += sum(int(steps.batches.lengths[batch].sum()) for batch in seen)
        progress.epoch_steps, progress.epoch_loss = steps.at, steps.loss
        progress.epoch_seconds += seconds
        steps.seconds = {}
        self.start()

    def since(self) -> float:
        """Seconds since the last count."""
        return time.perf_counter() - self.began

    def out_of_time(self) -> bool:
        """Whether training has taken as long as it may."""
        return self.progress.train_seconds + self.progress.compile_seconds + self.since() > self.max_seconds


class _Steps(keras.callbacks.Callback):
    """Watches one epoch's steps: times them, shows them, saves them, stops when the loss is no number or time is over.

    Args:
        feed: the epoch's batches.
        clock: where they are counted; its progress says how many are done already.
        reporter: where they are shown.
        save: writes a checkpoint of what the progress says.
        profile: is told which seconds of training compiled and which waited for data.
        limit: the most steps of all epochs together.
    """

    def __init__(
        self,
        feed: Feed,
        clock: _Clock,
        reporter: Reporter,
        save: Callable[[keras.Model], None],
        profile: Profile,
        *,
        limit: float,
    ):
        super().__init__()
        self.feed = feed
        self.batches = feed.batches
        self.clock = clock
        self.reporter = reporter
        self.save = save
        self.usual = np.zeros(3)  # steps, examples and seconds that compiled nothing
        self.profile = profile
        self.window = Window(profile, self.batches.plan.lengths, clock.progress.epoch + 1)
        self.limit = limit
        self.first = self.at = clock.progress.epoch_steps
        self.before = self.first * clock.progress.epoch_loss
        self.loss = 0.0
        self.diverged = ""
        self.seconds: dict[int, list[float]] = {}
        self.weights: list[np.ndarray] = []
        self.window.before(self.at, clock.compiled)
        self.last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.weights = values(self.model.trainable_variables)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        length = self.batches.plan.lengths[self.at]
        first = length not in self.clock.compiled and length not in self.seconds
        self._tell_profile(now - self.last, first=first)
        if not first:
            self.usual += 1, len(self.batches.plan.batches[self.at]), now - self.last
            steps, examples, seconds = self.usual
            self.reporter.speed(examples / seconds, seconds / steps)
        self.seconds.setdefault(length, []).append(now - self.last)
        self.window.after(self.at)
        self.at += 1
        loss = float((logs or {}).get("loss", math.nan))
        self.loss = (self.before + (self.at - self.first) * loss) / self.at
        self.reporter.step(self.at, self.loss)
        if not math.isfinite(loss):
            self.diverged = f"the loss is {loss} at step {self.at}"
        done = self.clock.progress.steps + sum(map(len, self.seconds.values()))
        # `self.model` brings the weights back to the model, which on JAX takes long: it is asked for where it must be.
        if self.diverged or self.clock.out_of_time() or done >= self.limit:
            self.model.stop_training = True
        elif self.clock.since() > SAVE_EVERY and self._can_begin_at(self.at):
            self.clock.count(self)
            self.save(self.model)
        self.window.before(self.at, self.clock.compiled.union(self.seconds))
        self.last = time.perf_counter()

    def _can_begin_at(self, step: int) -> bool:
        """Whether the epoch could begin here, as a resumed one does: Keras reads off two batches which axes vary."""
        left = self.batches.plan.lengths[step:]
        return len(left) > 0 and (len(set(left)) == 1 or left[0] != left[1])

    def _tell_profile(self, seconds: float, *, first: bool) -> None:
        """Sets apart which seconds of a step waited for data, and, of a shape's first, all others."""
        waited, self.feed.waited = sum(self.feed.waited), []
        self.profile.move(waited, "data")
        if first:
            self.profile.move(seconds - waited, "compile")
        self.profile.ahead += sum(self.feed.ahead)
        self.feed.ahead = []
