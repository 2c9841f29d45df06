"""One run, from examples to a result. Read this first.

    splits -> spec, encoded -> model -> fit -> predictions -> scores -> Result

`suite.preparing` has the first step, whose result every run of one command shares, and `suite.fitting` those from the
model to its predictions; `run` does them for one model and one seed, and leaves all that it made in a directory of its
own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence

from suite import find, fitting, records
from suite.backend import Backend
from suite.config import RunConfig
from suite.console import Reporter
from suite.data.lazy import light
from suite.preparing import Prepared
from suite.profile import Profile
from suite.records import Directory
from suite.task import Result


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
        fitted = fitting.baseline(config, prepared, directory, profile)
    else:
        fitted = fitting.network(config, prepared, directory, reporter, profile, auto_batch=auto_batch)
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
) -> Generator[Result, None, None]:
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
