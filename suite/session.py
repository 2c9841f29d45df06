"""What the command `run` does: one task or all of them, each with its data, models, rows and table.

A task or a model that fails does not stop the others.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite import config as configuration
from suite import find, preparing, runner
from suite.console import Reporter, show_error
from suite.console import reporter as choose_reporter
from suite.data.splits import name_of
from suite.errors import InputError, RunError
from suite.profile import Profile

if TYPE_CHECKING:
    from suite.backend import Backend
    from suite.config import RunConfig
    from suite.preparing import Prepared
    from suite.task import Result

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
    try:
        if task == ALL:
            _run_every_task(asked, done)
        else:
            _run_task(task, asked, done)
    finally:
        if asked.as_json and (done.results or done.ceilings):
            from suite import report

            report.show_json([*done.results, *done.ceilings], files=_files(asked, done.results, done.rows))
    return done.code


def _run_every_task(asked: Asked, done: Done) -> None:
    given = [f"--{split}" for split, path in asked.files.items() if path] + (["--dataset"] if asked.dataset else [])
    if given:
        raise InputError(f"{given[0]} with --task all: data belongs to one task; name the task")
    for name in find.tasks():
        try:
            _run_task(name, asked, done)
        except Exception as error:
            known = isinstance(error, InputError | RunError)
            show_error(f"{name}: {error}" if known else f"{name}: {type(error).__name__}: {error}")
            if asked.debug:
                traceback.print_exception(error)
            done.code = max(done.code, 2 if isinstance(error, InputError) else 1)


def _run_task(name: str, asked: Asked, done: Done) -> None:
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
    reporter = choose_reporter(quiet=asked.quiet)
    for note in prepared.splits.notes:
        reporter.say(f"note: {note}")
    backend = _prepare_backend(configs, prepared, reporter, before)
    if asked.dry_run:
        from suite import report

        report.show_plan(configs, prepared, as_json=asked.as_json)
    else:
        _run_models(configs, prepared, backend, reporter, asked, done, before)


def _prepare_backend(
    configs: Sequence[RunConfig], prepared: Prepared, reporter: Reporter, profile: Profile
) -> Backend | None:
    """Loads the framework where a model needs one, and tells what encoding its inputs left out."""
    neural = [config for config in configs if config.model not in prepared.task.baselines]
    if not neural:
        return None
    from suite import backend

    with profile.part("framework"):
        chosen = backend.prepare(device=neural[0].device, precision=neural[0].precision)
    for config in neural:  # a layer of the user's own that cannot be used is told before anything trains
        configuration.architecture(prepared.task, config.model).encoder(config.architecture)
    for split in ("train", "validation", "test"):
        with profile.part("encoding"):
            notes = getattr(prepared, split).notes
        for note in notes:
            reporter.say(f"note: {split}: {note}")
    return chosen


def _run_models(
    configs: Sequence[RunConfig],
    prepared: Prepared,
    backend: Backend | None,
    reporter: Reporter,
    asked: Asked,
    done: Done,
    before: Profile,
) -> None:
    """Runs everything, adds each result to the board as soon as it is there, and shows what was reached."""
    import leaderboard
    from suite import report
    from suite.records import Directory

    def directory(config: RunConfig) -> Directory:
        found = Directory.latest(asked.output, config, prepared) if asked.resume else None
        return found or Directory.new(asked.output, config, prepared)

    def on_error(error: Exception) -> None:
        if asked.debug:
            traceback.print_exception(error)

    shared = before.to_json()
    best_possible = runner.ceiling(prepared, configs[0])
    results: list[Result] = []
    rows_before = done.rows
    try:
        with reporter:
            if best_possible is not None:
                done.rows += leaderboard.append(asked.leaderboard, leaderboard.rows(best_possible))
                done.ceilings.append(best_possible)
            for result in runner.run_all(
                configs,
                prepared,
                directories=directory,
                backend=backend,
                reporter=reporter,
                on_error=on_error,
                profiled=asked.profile,
                auto_batch=asked.auto_batch,
            ):
                if result.status == "ok":
                    before_this = leaderboard.times_scored(asked.leaderboard, result)
                    result = dataclasses.replace(result, test_scored=1 + before_this)
                done.rows += leaderboard.append(asked.leaderboard, leaderboard.rows(result))
                results.append(result)
    finally:
        done.results += results
        if any(result.status in ("failed", "diverged") for result in results):
            done.code = max(done.code, 1)
        if results and not asked.as_json:
            report.show(results, best_possible, files=_files(asked, results, done.rows - rows_before))
            if asked.profile:
                _show_profiles(asked, shared, results)


def _show_profiles(asked: Asked, shared: dict[str, Any], results: Sequence[Result]) -> None:
    from suite import report
    from suite.records import Directory

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
