"""One run, from examples to a result. Read this first.

    splits -> spec, encoded -> model -> fit -> predictions -> scores -> Result

`Prepared` holds what every run of one command shares; `run` does the rest for one model and one seed, and leaves all
that it made in a directory of its own.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from suite import find, records
from suite.backend import Backend
from suite.config import RunConfig, Wanted
from suite.console import Reporter
from suite.data import splits as cutting
from suite.data.batching import Batches, bucket_lengths, example_lengths
from suite.errors import InputError
from suite.records import Directory
from suite.task import Encoded, Prediction, Result, Spec, Splits, Task


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A task and its data, encoded once for all models and seeds."""

    task: Task
    splits: Splits
    config: RunConfig

    @cached_property
    def fingerprint(self) -> str:
        """The data's."""
        return self.splits.fingerprint()

    @cached_property
    def spec(self) -> Spec:
        """Fitted on the training examples alone."""
        return self.task.spec(self.splits.train, self.config.features)

    @cached_property
    def train(self) -> Encoded:
        """The encoded training split."""
        return self.task.encode(self.splits.train, self.spec)

    @cached_property
    def validation(self) -> Encoded:
        """The encoded validation split."""
        return self.task.encode(self.splits.validation, self.spec)

    @cached_property
    def test(self) -> Encoded:
        """The encoded test split."""
        return self.task.encode(self.splits.test, self.spec)

    @cached_property
    def edges(self) -> list[int]:
        """Lengths to which examples are padded, chosen on the training split."""
        return bucket_lengths(example_lengths(self.train, self.spec), self.config.data.buckets)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted model: its answers for the test split, and what they cost."""

    predictions: Sequence[Prediction]
    params: int
    train_seconds: float
    epochs: int | None = None
    compile_seconds: float | None = None
    examples_per_second: float | None = None
    note: str = ""
    diverged: str = ""


def prepare(
    wanted: Wanted, config: RunConfig, *, data_dir: Path | None, files: dict[str, Path | None], named: bool
) -> Prepared:
    """Reads the data: the user's own files where given, a dataset for the other splits if the user named one.

    Args:
        wanted: the task and the dataset's name.
        config: any of the command's configurations; they differ in model and seed alone.
        data_dir: where the dataset's files are.
        files: split -> the user's own file, or `None`.
        named: whether the user named the dataset, rather than taking the default.
    """
    task = wanted.task
    own = {split: path for split, path in files.items() if path is not None}
    if own and not named:
        if "train" not in own:
            raise InputError(f"--{next(iter(own))} without --train: give the file to train on as well, or a --dataset")
        parts, name = cutting.read_files(task.read, **own), own["train"].name
    else:
        parts = {**find.dataset(wanted.dataset, schema=task.schema).load(data_dir)}
        name = find.module_name(wanted.dataset)
        if own:
            parts |= cutting.read_files(task.read, **own)
            name += f" with own {', '.join(own)}"
    made = cutting.make_splits(
        parts,
        name=name,
        validation_share=config.data.validation_share,
        limit=config.data.limit,
        labels=task.labels,
    )
    return Prepared(task, made, config)


def run(
    config: RunConfig, prepared: Prepared, directory: Directory, *, backend: Backend | None, reporter: Reporter
) -> Result:
    """Trains one model on train, chooses its best epoch on validation, scores it on test once.

    Args:
        config: what is wanted.
        prepared: the data.
        directory: where the run keeps its files; a checkpoint found there is continued from.
        backend: what computes, from `suite.backend.prepare`; `None` for a model that is no neural network.
        reporter: where progress is shown.
    """
    task = prepared.task
    reporter.start(f"{find.module_name(config.model)} seed {config.seed}", task.metric)
    records.reset_peak_memory()
    if config.model in task.baselines:
        fitted = _fit_baseline(config, prepared)
    else:
        fitted = _train_network(config, prepared, directory, reporter)
    result = records.result(config, task, prepared, directory, backend)
    result = dataclasses.replace(
        result,
        params=fitted.params,
        epochs=fitted.epochs,
        train_seconds=fitted.train_seconds,
        compile_seconds=fitted.compile_seconds,
        examples_per_second=fitted.examples_per_second,
        peak_memory_mb=records.peak_memory_mb(),
        note=fitted.note,
    )
    if fitted.diverged:
        result = dataclasses.replace(result, status="diverged", note=fitted.diverged)
        reporter.finish(f"diverged: {fitted.diverged}")
    else:
        evaluation = task.evaluate(fitted.predictions, prepared.splits.test)
        result = dataclasses.replace(result, scores=evaluation.scores)
        directory.write_outcomes(evaluation.outcomes)
        reporter.finish(f"test {task.metric} {evaluation.scores[task.metric]:.4f}, {fitted.train_seconds:.1f} s")
    directory.finish(result)
    return result


def ceiling(prepared: Prepared, config: RunConfig) -> Result | None:
    """The score of the best possible answers, where the dataset knows them."""
    answers = [example.get("oracle") for example in prepared.splits.test]
    if not answers or any(answer is None for answer in answers):
        return None
    evaluation = prepared.task.evaluate(answers, prepared.splits.test)
    return records.ceiling(config, prepared.task, prepared, evaluation)


def build(config: RunConfig, prepared: Prepared) -> Any:
    """The uncompiled Keras model of a configuration."""
    architecture = find.architecture(config.model)
    settings: Any = config.architecture
    return prepared.task.build(
        prepared.spec, config.features, encoder=architecture.encoder(settings), width=settings.width
    )


def _fit_baseline(config: RunConfig, prepared: Prepared) -> Fitted:
    splits = prepared.splits
    began = time.perf_counter()
    predict: Any = prepared.task.baselines[config.model](splits.train, splits.validation, config.features, config.seed)
    seconds = time.perf_counter() - began
    return Fitted(
        predictions=predict(splits.test),
        params=predict.parameters,
        train_seconds=seconds,
        examples_per_second=len(splits.train) / seconds if seconds else None,
        note=predict.note,
    )


def _train_network(config: RunConfig, prepared: Prepared, directory: Directory, reporter: Reporter) -> Fitted:
    import keras

    from suite import training

    task, spec = prepared.task, prepared.spec
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(config.seed)
    model = build(config, prepared)

    def batches(encoded: Encoded, seed: int | None = None) -> Batches:
        return Batches(encoded, spec, batch_size=config.train.batch_size, edges=prepared.edges, seed=seed)

    train, validation, test = batches(prepared.train, config.seed), batches(prepared.validation), batches(prepared.test)

    def validate() -> float:
        outputs = training.predict(model, validation)
        calibrated, _ = task.calibrate(outputs, prepared.splits.validation, spec)
        predictions = task.decode(outputs, calibrated)
        return task.evaluate(predictions, prepared.splits.validation).scores[task.metric]

    training.compile_model(model, task.loss(), config.train, steps=len(train))
    progress = training.fit(
        model,
        train,
        validate=validate,
        higher_is_better=task.higher_is_better,
        config=config.train,
        reporter=reporter,
        directory=directory.path,
    )
    directory.write_history(progress.history)
    calibrated, chosen = task.calibrate(training.predict(model, validation), prepared.splits.validation, spec)
    directory.write_model(model, calibrated)
    best = "" if progress.best_score is None else f" (validation {task.metric} {progress.best_score:.4f})"
    return Fitted(
        predictions=[] if progress.diverged else task.decode(training.predict(model, test), calibrated),
        params=int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
        epochs=progress.epoch,
        train_seconds=progress.train_seconds,
        compile_seconds=progress.compile_seconds,
        examples_per_second=progress.examples / progress.step_seconds if progress.step_seconds else None,
        note=f"best epoch {progress.best_epoch}{best}; {progress.stopped}; {chosen}",
        diverged=progress.diverged,
    )


def run_all(
    configs: Sequence[RunConfig],
    prepared: Prepared,
    *,
    directories: Callable[[RunConfig], Directory],
    backend: Backend | None,
    reporter: Reporter,
    on_error: Callable[[Exception], None],
) -> Iterator[Result]:
    """Yields the result of one configuration after another. One that fails does not stop the others.

    Args:
        configs: what is wanted.
        prepared: the data.
        directories: the directory for a configuration, new or, when resuming, the one that it had.
        backend: what computes.
        reporter: where progress is shown.
        on_error: called with each failure; the result says `failed` and why.
    """
    for config in configs:
        directory = directories(config)
        result = directory.finished()
        if result is None:
            try:
                result = run(config, prepared, directory, backend=backend, reporter=reporter)
            except Exception as error:
                on_error(error)
                reporter.finish(f"failed: {error}")
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                result = records.result(config, prepared.task, prepared, directory, backend)
                result = dataclasses.replace(result, status="failed", note=reason)
        yield result
