"""What the command `run` does: one task or all of them, each with its data, models, rows and table.

A task or a model that fails does not stop the others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite import config as configuration
from suite import find, preparing, runner
from suite.console import Reporter, show_error
from suite.console import reporter as choose_reporter
from suite.data.splits import name_of
from suite.errors import InputError, RunError
from suite.jobs import Job, Jobs
from suite.profile import Profile
from suite.records import Directory

if TYPE_CHECKING:
    from suite.backend import Backend
    from suite.config import RunConfig
    from suite.preparing import Prepared
    from suite.task import Result, Task

ALL = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asked for.

    Args:
        models, dataset, overlays, flags, sets: see `suite.config.wanted`.
        seeds: of the runs.
        files: split -> the user's own file.
        data_dir: where the dataset's files are.
        leaderboard: the file to which rows are added.
        output: the folder of the runs' directories.
        jobs: runs at once.
        resume, dry_run, skip_bad, profile, auto_batch, as_json, quiet, debug: the flags of these names.
    """

    models: Sequence[str]
    dataset: str | None
    overlays: Sequence[str]
    flags: Mapping[str, Any]
    sets: Sequence[str]
    seeds: range
    files: dict[str, Path | None]
    data_dir: Path | None
    leaderboard: Path
    output: Path
    jobs: int
    resume: bool
    dry_run: bool
    skip_bad: bool
    profile: bool
    auto_batch: bool
    as_json: bool
    quiet: bool
    debug: bool


@dataclasses.dataclass
class Done:
    """What was reached so far, over all tasks."""

    results: list[Result] = dataclasses.field(default_factory=list)
    ceilings: list[Result] = dataclasses.field(default_factory=list)
    rows: int = 0
    code: int = 0


def run(task: str, asked: Asked) -> int:
    """Runs one task, or every task where its name is `all`, and gives the exit code."""
    if not asked.dry_run:
        import leaderboard

        leaderboard.check(asked.leaderboard)
    done = Done()
    several = Jobs(asked.jobs) if asked.jobs > 1 and not asked.dry_run else contextlib.nullcontext()
    try:
        with several as jobs:
            if task == ALL:
                _run_every_task(asked, done, jobs)
            else:
                _run_task(task, asked, done, jobs)
    finally:
        if asked.as_json and (done.results or done.ceilings):
            from suite import report

            report.show_json([*done.results, *done.ceilings], files=_files(asked, done.results, done.rows))
    return done.code


def _run_every_task(asked: Asked, done: Done, jobs: Jobs | None) -> None:
    given = [f"--{split}" for split, path in asked.files.items() if path] + (["--dataset"] if asked.dataset else [])
    if given:
        raise InputError(f"{given[0]} with --task all: data belongs to one task; name the task")
    for name in find.tasks():
        try:
            _run_task(name, asked, done, jobs)
        except Exception as error:
            known = isinstance(error, InputError | RunError)
            show_error(f"{name}: {error}" if known else f"{name}: {type(error).__name__}: {error}")
            if asked.debug:
                traceback.print_exception(error)
            done.code = max(done.code, 2 if isinstance(error, InputError) else 1)


def _run_task(name: str, asked: Asked, done: Done, jobs: Jobs | None) -> None:
    train = asked.files.get("train")
    wanted = configuration.wanted(
        name,
        # a dataset's overlay is not for the user's own files
        dataset=asked.dataset or (name_of(train) if train else None),
        models=asked.models,
        overlays=asked.overlays,
        flags=asked.flags,
        sets=asked.sets,
    )
    configs = configuration.resolve(wanted, seeds=asked.seeds)
    before = Profile()
    with before.part("reading"):
        prepared = preparing.prepare(
            wanted,
            configs[0],
            data_dir=asked.data_dir,
            files=asked.files,
            named=bool(asked.dataset),
            skip_bad=asked.skip_bad,
        )
    jobs = jobs if len(configs) > 1 else None  # a single run has all processors
    reporter = choose_reporter(quiet=asked.quiet, plain=jobs is not None)
    for note in prepared.splits.notes:
        reporter.say(f"note: {note}")
    neural = [config for config in configs if config.model not in prepared.task.baselines]
    backend = _load_framework(neural, prepared.task, before) if neural and jobs is None else None
    if neural:
        _tell_what_is_left_out(prepared, reporter, before)
    if asked.dry_run:
        from suite import report

        report.show_plan(configs, prepared, as_json=asked.as_json)
    else:
        results = (
            _results(configs, prepared, backend, reporter, asked)
            if jobs is None
            else jobs.run_all([_job(config, prepared, asked) for config in configs])
        )
        _run_models(configs, prepared, results, reporter, asked, done, before)


def _load_framework(neural: Sequence[RunConfig], task: Task, profile: Profile) -> Backend:
    from suite import backend

    with profile.part("framework"):
        chosen = backend.prepare(device=neural[0].device, precision=neural[0].precision)
    for config in neural:  # a layer of the user's own that cannot be used is told before anything trains
        configuration.architecture(task, config.model).encoder(config.architecture)
    return chosen


def _tell_what_is_left_out(prepared: Prepared, reporter: Reporter, profile: Profile) -> None:
    for split in ("train", "validation", "test"):
        with profile.part("encoding"):
            notes = getattr(prepared, split).notes
        for note in notes:
            reporter.say(f"note: {split}: {note}")


def _results(
    configs: Sequence[RunConfig], prepared: Prepared, backend: Backend | None, reporter: Reporter, asked: Asked
) -> Generator[Result, None, None]:
    def on_error(error: Exception) -> None:
        if asked.debug:
            traceback.print_exception(error)

    return runner.run_all(
        configs,
        prepared,
        directories=lambda config: Directory.of(asked.output, config, prepared, resume=asked.resume),
        backend=backend,
        reporter=reporter,
        on_error=on_error,
        profiled=asked.profile,
        auto_batch=asked.auto_batch,
    )


def _job(config: RunConfig, prepared: Prepared, asked: Asked) -> Job:
    assert prepared.source is not None  # `prepare` always says it
    return Job(
        origin=prepared.origin,
        source=prepared.source,
        config=config.model_dump_json(),
        output=asked.output,
        resume=asked.resume,
        profiled=asked.profile,
        auto_batch=asked.auto_batch,
        quiet=asked.quiet,
        debug=asked.debug,
    )


def _run_models(
    configs: Sequence[RunConfig],
    prepared: Prepared,
    runs: Generator[Result, None, None],
    reporter: Reporter,
    asked: Asked,
    done: Done,
    before: Profile,
) -> None:
    """Runs everything, adds each result to the board as soon as it is there, and shows what was reached.

    Args:
        configs: of the runs, in the order in which results are shown.
        prepared: the data.
        runs: runs one model after another as it is asked for results.
        reporter: where progress is shown.
        asked: what the command line asked for.
        done: is told of results and rows.
        before: where the time before the runs went.
    """
    import leaderboard
    from suite import report

    shared = before.to_json()
    best_possible = runner.ceiling(prepared, configs[0])
    results: list[Result] = []
    rows_before = done.rows
    try:
        with reporter, contextlib.closing(runs):
            if best_possible is not None:
                done.rows += leaderboard.append(asked.leaderboard, leaderboard.rows(best_possible))
                done.ceilings.append(best_possible)
            for result in runs:
                if result.status == "ok":
                    before_this = leaderboard.times_scored(asked.leaderboard, result)
                    result = dataclasses.replace(result, test_scored=1 + before_this)
                done.rows += leaderboard.append(asked.leaderboard, leaderboard.rows(result))
                results.append(result)
    finally:
        order = [(find.module_name(config.model), config.seed) for config in configs]
        results.sort(key=lambda result: order.index((result.model, result.seed)))
        done.results += results
        if any(result.status in ("failed", "diverged") for result in results):
            done.code = max(done.code, 1)
        if results and not asked.as_json:
            report.show(results, best_possible, files=_files(asked, results, done.rows - rows_before))
            if asked.profile:
                _show_profiles(asked, shared, results)


def _show_profiles(asked: Asked, shared: dict[str, Any], results: Sequence[Result]) -> None:
    from suite import report

    profiles = {"before all": [shared]}
    for result in results:  # a failed run has none, nor has one that was finished before
        profile = Directory(asked.output / result.run_id).profile()
        if profile is not None:
            profiles.setdefault(result.model, []).append(profile)
    report.show_profiles(profiles)


def _files(asked: Asked, results: Sequence[Result], rows: int) -> list[str]:
    if asked.quiet:
        return []
    return [f"{asked.leaderboard}: {rows} rows added", *(f"{asked.output / result.run_id}/" for result in results)]
