"""A model, fitted to the training split, and its answers for the test split."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from suite import find, flops, memory
from suite.config import RunConfig, architecture
from suite.console import Reporter
from suite.data.batching import Batches
from suite.data.lazy import light
from suite.preparing import Prepared
from suite.profile import Profile
from suite.records import Directory
from suite.task import Architecture, Encoded, Prediction, Spec, as_it_is


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted model: its answers for the test split, and what they cost."""

    predictions: Sequence[Prediction]
    params: int
    train_seconds: float
    epochs: int | None = None
    compile_seconds: float | None = None
    examples_per_second: float | None = None
    tokens_per_second: float | None = None
    flops_per_example: float | None = None
    certificate: str = ""
    selected_on: str = ""
    note: str = ""
    diverged: str = ""


def build(config: RunConfig, prepared: Prepared) -> Any:
    """The uncompiled Keras model of a configuration."""
    module = architecture(prepared.task, config.model)
    settings: Any = config.architecture
    made = Architecture(
        width=settings.width,
        reads=getattr(module, "READS", "sequence"),
        encode=module.encoder(settings),
        decode=partial(module.decoder, settings) if hasattr(module, "decoder") else None,
    )
    return prepared.task.build(prepared.spec, config.features, made)


def baseline(config: RunConfig, prepared: Prepared, directory: Directory, profile: Profile) -> Fitted:
    """A model that is no neural network; arguments as of `network`."""
    splits = prepared.splits
    began = time.perf_counter()
    with profile.part("training"):
        fit = prepared.task.baselines[config.model]
        predict: Any = fit(splits.train, splits.validation, config.features, config.seed)
    seconds = time.perf_counter() - began
    with profile.part("saving"):
        directory.write_baseline(predict)
    with profile.part("test"):
        predictions = predict(splits.test)
    return Fitted(
        predictions=predictions,
        params=predict.parameters,
        train_seconds=seconds,
        examples_per_second=len(splits.train) / seconds if seconds else None,
        note=predict.note,
    )


def network(
    config: RunConfig,
    prepared: Prepared,
    directory: Directory,
    reporter: Reporter,
    profile: Profile,
    *,
    auto_batch: bool,
) -> Fitted:
    """A neural network, trained as `config` says, or, where memory runs out and it is allowed, in pieces.

    Args:
        config: what is wanted.
        prepared: the data.
        directory: where the run keeps its files; a checkpoint found there is continued from.
        reporter: where progress is shown.
        profile: counts what took how long.
        auto_batch: whether it may train on batches in pieces; see `suite.memory`.

    Raises:
        RunError: memory ran out; the message says with how many examples in a batch it does not.
    """
    from suite import checkpoint, training

    def fit(pieces: int) -> Fitted:
        return _train(config, prepared, directory, reporter, profile, pieces)

    def try_step(pieces: int) -> None:
        train = batches(config, prepared, prepared.train, seed=config.seed, pieces=pieces)
        training.try_step(compiled(config, prepared, train), train)

    def say(text: str) -> None:
        reporter.say(f"note: {find.module_name(config.model)}: {text}")
        path.unlink(missing_ok=True)

    path = directory.path / training.CHECKPOINT
    return memory.train(
        fit,
        try_step,
        config,
        pieces=checkpoint.told(path).get("pieces", 1),  # a run goes on as it began
        most=max(config.train.batch_size, config.data.batch_tokens or 0),
        auto_batch=auto_batch,
        say=say,
    )


def batches(
    config: RunConfig, prepared: Prepared, encoded: Encoded, *, seed: int | None = None, pieces: int = 1
) -> Batches:
    """Batches in the order of the seed, in pieces; without a seed for prediction, as large as a piece."""
    tokens, shrink = config.data.batch_tokens, 1 if seed is not None else pieces
    return Batches(
        encoded,
        prepared.spec,
        batch_size=max(1, config.train.batch_size // shrink),
        edges=prepared.edges,
        full_length=config.data.full_length,
        batch_tokens=tokens and max(1, tokens // shrink),
        seed=seed,
        pieces=pieces // shrink,
    )


def compiled(config: RunConfig, prepared: Prepared, train: Batches) -> Any:
    """A model that is ready to train: a new one, or that of the seed before in the state of a new one.

    Seeds that follow one another need no functions of their own, which on TensorFlow and JAX take seconds to make.
    """
    import keras

    from suite import checkpoint, optimizer

    key = (config.hash(), train.pieces)
    kept = prepared.compiled.pop(key, None)
    prepared.compiled.clear()
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(config.seed)
    model = build(config, prepared)
    loss = prepared.task.loss(config.features)
    optimizer.compile_model(model, loss, config.train, steps=len(train) // train.pieces, pieces=train.pieces)
    model.optimizer.build(model.trainable_variables)
    if kept is not None:
        checkpoint.copy_state(model, kept)
        model = kept
    prepared.compiled[key] = model
    return model


def _train(
    config: RunConfig,
    prepared: Prepared,
    directory: Directory,
    reporter: Reporter,
    profile: Profile,
    pieces: int,
) -> Fitted:
    from suite import training
    from suite.certificate import certify

    task = prepared.task
    with profile.part("encoding"):
        spec = prepared.spec
        train = batches(config, prepared, prepared.train, seed=config.seed, pieces=pieces)
        validation, test = (
            batches(config, prepared, one, pieces=pieces) for one in (prepared.validation, prepared.test)
        )
    with profile.part("build"):
        model = compiled(config, prepared, train)
    with profile.part("probes"):
        certificate = certify(model, prepared.validation, spec, causal=task.causal)
    asked = light(prepared.splits.validation)

    def calibrate() -> tuple[Sequence[Any], Spec, str]:
        outputs = task.infer(model, validation, spec)
        return outputs, *task.calibrate(outputs, prepared.validation, asked, spec)

    def validate() -> Mapping[str, float]:
        if task.watch is not None:
            return task.watch(model, validation, asked, spec)
        outputs, calibrated, _ = calibrate()
        scores = task.evaluate(task.decode(outputs, prepared.validation, calibrated), asked).scores
        return {task.selected_by: scores[task.selected_by]}

    progress = training.fit(
        model,
        train,
        validate=validate,
        selects=task.selected_by,
        higher_is_better=task.selected_by not in task.lower_is_better,
        config=config.train,
        reporter=reporter,
        directory=directory.path,
        profile=profile,
    )
    with profile.part("saving"):
        directory.write_history(progress.history)
    with profile.part("validation"):
        calibrated, chosen = (spec, "") if task.calibrate is as_it_is else calibrate()[1:]
    with profile.part("saving"):
        directory.write_model(model, calibrated)
    cut = f"batches in {pieces} pieces of {memory.size(config, pieces)}, for want of memory" if pieces > 1 else ""
    best = "" if progress.best_score is None else f" (validation {task.selected_by} {progress.best_score:.4f})"
    with profile.part("test"):
        outputs = [] if progress.diverged else task.infer(model, test, calibrated)
        answers = [] if progress.diverged else task.decode(outputs, prepared.test, calibrated)
    with profile.part("flops"):
        operations = flops.per_example(model, prepared.test, spec)
    return Fitted(
        predictions=answers,
        params=int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
        epochs=progress.epoch,
        train_seconds=progress.train_seconds,
        compile_seconds=progress.compile_seconds,
        examples_per_second=progress.examples / progress.step_seconds if progress.step_seconds else None,
        tokens_per_second=progress.tokens / progress.step_seconds
        if progress.tokens and progress.step_seconds
        else None,
        flops_per_example=operations,
        certificate=", ".join(certificate),
        selected_on="validation",
        note="; ".join(filter(None, [f"best epoch {progress.best_epoch}{best}", progress.stopped, chosen, cut])),
        diverged=progress.diverged,
    )
