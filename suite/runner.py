"""One run, from examples to a result. Read this first.

    splits -> spec, encoded -> model -> fit -> predictions -> scores -> Result

`Prepared` holds what every run of one command shares; `run` does the rest for one model and one seed, and leaves all
that it made in a directory of its own.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from suite import find, flops, memory, records
from suite.backend import Backend
from suite.config import RunConfig, Wanted, architecture
from suite.console import Reporter
from suite.data import splits as cutting
from suite.data.batching import Batches, bucket_lengths, example_lengths
from suite.data.lazy import light
from suite.errors import InputError
from suite.profile import Profile
from suite.records import Directory
from suite.task import Architecture, Encoded, Prediction, Result, Spec, Splits, Task, as_it_is


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where data was read from, so that it can be read again; see `prepare`."""

    dataset: str
    data_dir: str | None = None
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    named: bool = False
    skip_bad: bool = False


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A task and its data, encoded once for all models that read the same features, and all seeds.

    Args:
        task: the task.
        splits: its data.
        config: of the models; they share `[features]` and `[data]`.
        origin: the task's name or file, as the command line has it.
        source: of the data, where it is known.
    """

    task: Task
    splits: Splits
    config: RunConfig
    origin: str
    source: Source | None = None

    def encoded_for(self, config: RunConfig) -> Prepared:
        """The same data, encoded as this configuration wants it."""
        if (config.features, config.data) == (self.config.features, self.config.data):
            return self
        other = Prepared(self.task, self.splits, config, self.origin, self.source)
        other.__dict__.update({name: self.__dict__[name] for name in _OF_DATA if name in self.__dict__})
        return other

    @cached_property
    def fingerprint(self) -> str:
        """The data's."""
        return self.splits.fingerprint()

    @cached_property
    def words(self) -> frozenset[str] | None:
        """All words of the training examples; `None` for a task that asks for none."""
        if self.task.words is None:
            return None
        return frozenset(word for example in light(self.splits.train) for word in self.task.words(example))

    @cached_property
    def slices(self) -> Sequence[Mapping[str, str]] | None:
        """For each test example the parts of the test set to which it belongs; `None` for a task without."""
        if self.task.slices is None:
            return None
        return [self.task.slices(example, self.words) for example in self.splits.test]

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


_OF_DATA = ("fingerprint", "words", "slices")  # computed once: they do not hang on the configuration


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


def prepare(
    wanted: Wanted,
    config: RunConfig,
    *,
    data_dir: Path | None,
    files: dict[str, Path | None],
    named: bool,
    skip_bad: bool = False,
) -> Prepared:
    """Reads the data: the user's own files where given, a dataset for the other splits if the user named one.

    Args:
        wanted: the task and the dataset's name.
        config: any of the command's configurations; they differ in model and seed alone.
        data_dir: where the dataset's files are.
        files: split -> the user's own file, or `None`.
        named: whether the user named the dataset, rather than taking the default.
        skip_bad: leave out what cannot be used in the user's own files, instead of refusing it.
    """
    task = wanted.task
    own = {split: path for split, path in files.items() if path is not None}
    if own and not named:
        if "train" not in own:
            raise InputError(f"--{next(iter(own))} without --train: give the file to train on as well, or a --dataset")
        parts, name = cutting.read_files(task.read, own, skip_bad=skip_bad), cutting.name_of(own["train"])
    else:
        parts = find.load_dataset(wanted.dataset, schema=task.schema, data_dir=data_dir)
        name = find.module_name(wanted.dataset)
        if own:
            read = cutting.read_files(task.read, own, skip_bad=skip_bad)
            parts |= {**read, "notes": [*parts.get("notes", ()), *read.get("notes", ())]}
            name += f" with own {', '.join(own)}"
    made = cutting.make_splits(
        parts,
        name=name,
        validation_share=config.data.validation_share,
        limit=config.data.limit,
        labels=task.labels,
        groups=task.groups,
    )
    source = Source(
        dataset=_absolute(wanted.dataset) if find.is_path(wanted.dataset) else wanted.dataset,
        data_dir=None if data_dir is None else _absolute(data_dir),
        files={split: _absolute(path) for split, path in own.items()},
        named=named,
        skip_bad=skip_bad,
    )
    return Prepared(task, made, config, wanted.task_name, source)


def _absolute(path: Path | str) -> str:
    """Paths, also several that belong together, as they are understood from any folder."""
    return ",".join(str(Path(part).absolute()) for part in str(path).split(","))


def run(
    config: RunConfig,
    prepared: Prepared,
    directory: Directory,
    *,
    backend: Backend | None,
    reporter: Reporter,
    profiled: bool = False,
    auto_batch: bool = False,
) -> Result:
    """Trains one model on train, chooses its best epoch on validation, scores it on test once.

    Args:
        config: what is wanted.
        prepared: the data.
        directory: where the run keeps its files; a checkpoint found there is continued from.
        backend: what computes, from `suite.backend.prepare`; `None` for a model that is no neural network.
        reporter: where progress is shown.
        profiled: leave `profile.json` and a trace of a few training steps in the directory, too.
        auto_batch: where memory runs out, train on batches in pieces, as many as it takes; see `suite.memory`.

    Raises:
        RunError: memory ran out; the message says with how many examples in a batch it does not.
    """
    task = prepared.task
    profile = Profile(directory.path / "trace" if profiled else None)
    backend = None if config.model in task.baselines else backend
    reporter.start(f"{find.module_name(config.model)} seed {config.seed}", task.selected_by)
    records.reset_peak_memory()
    if config.model in task.baselines:
        fitted = _fit_baseline(config, prepared, directory, profile)
    else:
        fitted = _train_within_memory(config, prepared, directory, reporter, profile, auto_batch=auto_batch)
    result = records.result(config, task, prepared, directory, backend)
    result = dataclasses.replace(
        result,
        params=fitted.params,
        epochs=fitted.epochs,
        train_seconds=fitted.train_seconds,
        compile_seconds=fitted.compile_seconds,
        examples_per_second=fitted.examples_per_second,
        tokens_per_second=fitted.tokens_per_second,
        flops_per_example=fitted.flops_per_example,
        certificate=fitted.certificate,
        selected_on=fitted.selected_on,
        peak_memory_mb=records.peak_memory_mb(),
        note=fitted.note,
    )
    if fitted.diverged:
        result = dataclasses.replace(result, status="diverged", note=fitted.diverged)
        reporter.finish(f"diverged: {fitted.diverged}")
    else:
        with profile.part("test"):
            evaluation = task.evaluate(fitted.predictions, light(prepared.splits.test))
        note = "; ".join(filter(None, [result.note, evaluation.note]))
        result = dataclasses.replace(result, scores=evaluation.scores, note=note)
        if prepared.slices is not None:
            evaluation = evaluation.sliced(prepared.slices)
        with profile.part("saving"):
            directory.write_evaluation(evaluation)
            if prepared.words is not None:
                directory.write_words(prepared.words)
        reporter.finish(f"test {task.metric} {evaluation.scores[task.metric]:.4f}, {fitted.train_seconds:.1f} s")
    if profiled:
        directory.write_profile(profile.to_json())
    directory.finish(result)
    return result


def ceiling(prepared: Prepared, config: RunConfig) -> Result | None:
    """The score of the best possible answers, where the dataset knows them."""
    test = light(prepared.splits.test)
    answers = [example.get("oracle") for example in test]
    if not answers or any(answer is None for answer in answers):
        return None
    evaluation = prepared.task.evaluate(answers, test)
    return records.ceiling(config, prepared.task, prepared, evaluation)


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


def _fit_baseline(config: RunConfig, prepared: Prepared, directory: Directory, profile: Profile) -> Fitted:
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


def _batches(
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


def _train_within_memory(
    config: RunConfig,
    prepared: Prepared,
    directory: Directory,
    reporter: Reporter,
    profile: Profile,
    *,
    auto_batch: bool,
) -> Fitted:
    from suite import checkpoint, training

    def fit(pieces: int) -> Fitted:
        return _train_network(config, prepared, directory, reporter, profile, pieces)

    def try_step(pieces: int) -> None:
        train = _batches(config, prepared, prepared.train, seed=config.seed, pieces=pieces)
        training.try_step(_compiled(config, prepared, train), train)

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


def _compiled(config: RunConfig, prepared: Prepared, train: Batches) -> Any:
    """A new model that is ready to train."""
    import keras

    from suite import training

    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(config.seed)
    model = build(config, prepared)
    loss = prepared.task.loss(config.features)
    training.compile_model(model, loss, config.train, steps=len(train) // train.pieces, pieces=train.pieces)
    return model


def _train_network(
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
        train = _batches(config, prepared, prepared.train, seed=config.seed, pieces=pieces)
        validation, test = (
            _batches(config, prepared, one, pieces=pieces) for one in (prepared.validation, prepared.test)
        )
    with profile.part("build"):
        model = _compiled(config, prepared, train)
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


def run_all(
    configs: Sequence[RunConfig],
    prepared: Prepared,
    *,
    directories: Callable[[RunConfig], Directory],
    backend: Backend | None,
    reporter: Reporter,
    on_error: Callable[[Exception], None],
    profiled: bool = False,
    auto_batch: bool = False,
) -> Iterator[Result]:
    """Yields the result of one configuration after another. One that fails does not stop the others.

    Args:
        configs: what is wanted.
        prepared: the data.
        directories: the directory for a configuration, new or, when resuming, the one that it had.
        backend: what computes.
        reporter: where progress is shown.
        on_error: called with each failure; the result says `failed` and why.
        profiled, auto_batch: see `run`.
    """
    for config in configs:
        prepared = prepared.encoded_for(config)
        directory = directories(config)
        result = directory.finished()
        if result is None:
            try:
                result = run(
                    config,
                    prepared,
                    directory,
                    backend=backend,
                    reporter=reporter,
                    profiled=profiled,
                    auto_batch=auto_batch,
                )
            except Exception as error:
                on_error(error)
                reporter.finish(f"failed: {error}")
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                result = records.result(config, prepared.task, prepared, directory, backend)
                result = dataclasses.replace(result, status="failed", note=reason)
        yield result
