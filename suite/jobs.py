"""Several runs at once, each in a process of its own, on processors of its own.

Small models leave most of a machine idle, for their operations are too short to be shared between processors. A process
stays for all runs of a command, and reads and encodes a task's data once.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import traceback
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from suite import backend as backends
from suite import config as configuration
from suite import find, preparing, runner, trained
from suite.config import RunConfig
from suite.console import reporter as choose_reporter
from suite.errors import InputError, RunError
from suite.preparing import Prepared, Source
from suite.records import Directory
from suite.task import Result, Task


class Job(NamedTuple):
    """A run, in words that another process understands.

    Args:
        origin: the task's name or file.
        source: of the data.
        config: as JSON.
        output: the folder in which the run gets a directory.
        resume: continue the newest run of the same configuration.
        profiled, auto_batch: see `suite.runner.run`.
        quiet, debug: show no progress; show tracebacks.
    """

    origin: str
    source: Source
    config: str
    output: Path
    resume: bool
    profiled: bool
    auto_batch: bool
    quiet: bool
    debug: bool


class Jobs:
    """Processes for runs, as a context; they end with it, whatever they are doing.

    Args:
        count: of processes, among which the processors are divided.

    Raises:
        InputError: there are fewer processors.
    """

    def __init__(self, count: int):
        processors = backends.processors()
        if count > processors:
            raise InputError(f"--jobs {count}: expected at most {processors}, the processors that this command may use")
        self.count = count

    def __enter__(self) -> Jobs:
        self._begin()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")  # frameworks do not survive a fork
        numbers = context.SimpleQueue()
        for number in range(self.count):
            numbers.put(number)
        self.before = multiprocessing.active_children()
        self.pool = ProcessPoolExecutor(
            self.count, mp_context=context, initializer=_start, initargs=(numbers, self.count)
        )

    def _end(self) -> None:
        for process in multiprocessing.active_children():
            if process not in self.before:
                process.terminate()
        self.pool.shutdown(cancel_futures=True)  # the pool itself waits for its processes, and nobody else may

    def run_all(self, jobs: Sequence[Job]) -> Generator[Result, None, None]:
        """Yields the results, in the order in which the runs end. One that fails does not stop the others.

        Where it is broken off, the runs that go on are ended, and others can be run afterwards.

        Raises:
            InputError: a run cannot begin.
            RunError: a process was killed, as for want of memory.
        """
        left = list(reversed(jobs))
        running: set[Future[Result]] = set()
        try:
            while left or running:
                while left and len(running) < self.count:  # so that none has a directory before it begins
                    running.add(self.pool.submit(_run, left.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException as error:
            self._end()
            self._begin()
            if isinstance(error, BrokenProcessPool):
                raise RunError("a process that trained was killed, as a system does where memory runs out") from error
            raise


def _start(numbers: Any, count: int) -> None:
    """Takes every `count`-th processor for this process, before a framework counts them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command itself is told, and ends this process
    if hasattr(os, "sched_setaffinity"):
        from threadpoolctl import threadpool_limits

        own = sorted(os.sched_getaffinity(0))[numbers.get() :: count]
        os.sched_setaffinity(0, own)
        threadpool_limits(len(own))  # NumPy counted them when it was imported


def _run(job: Job) -> Result:
    task = find.task(job.origin)
    config = trained.saved_config(json.loads(job.config), task, Path(job.origin))
    prepared = _prepare(task, job, config)
    backend = None
    if config.model not in task.baselines:
        backend = backends.prepare(device=config.device, precision=config.precision)
        if backend.device != backends.cpu_name():
            raise InputError(f"--jobs: the runs would share the {backend.device}; give --device cpu, or leave it out")
        configuration.architecture(task, config.model).encoder(config.architecture)

    def on_error(error: Exception) -> None:
        if job.debug:
            traceback.print_exception(error)

    (result,) = runner.run_all(
        [config],
        prepared,
        directories=lambda config: Directory.of(job.output, config, prepared, resume=job.resume),
        backend=backend,
        reporter=choose_reporter(quiet=job.quiet, plain=True),
        on_error=on_error,
        profiled=job.profiled,
        auto_batch=job.auto_batch,
    )
    return result


_last: list[Prepared] = []  # what this process read last


def _prepare(task: Task, job: Job, config: RunConfig) -> Prepared:
    same = [one for one in _last if (one.origin, one.source, one.config.data) == (job.origin, job.source, config.data)]
    _last[:] = [same[0].encoded_for(config) if same else preparing.prepare_again(task, job.origin, job.source, config)]
    return _last[0]
