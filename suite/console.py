"""What a person sees while models train: live bars on a terminal, plain lines in a pipe, nothing when asked for quiet.

Progress goes to standard error, so that standard output holds results alone.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn


class Reporter:
    """Shows nothing. The methods are called in this order: `start`, then for each epoch `epoch`, `step`s, `epoch_end`,
    then `finish`. A model that is no neural network has no epochs.
    """

    metric = "score"
    pace = ""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def say(self, text: str) -> None:
        """A line about what was found or left out."""

    def start(self, label: str, metric: str) -> None:
        """A model begins; `metric` names its validation score."""

    def epoch(self, epoch: int, epochs: int, steps: int) -> None:
        """Epoch `epoch` of `epochs`, of so many steps, begins."""

    def step(self, step: int, loss: float) -> None:
        """Step `step` of the epoch is done; `loss` is the epoch's mean so far."""

    def speed(self, examples_per_second: float, step_seconds: float) -> None:
        """How fast the epoch's steps were so far, those that compiled left out. Comes before `step`."""

    def epoch_end(self, epoch: int, loss: float, score: float, *, best: bool) -> None:
        """The epoch is done and validation scored."""

    def finish(self, text: str) -> None:
        """The model is done; `text` says how it ended."""


class PlainReporter(Reporter):
    """One line an epoch, for pipes, files and CI."""

    def __init__(self, console: Console):
        self.console = console

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self._line(text)

    def start(self, label: str, metric: str) -> None:
        self.label, self.metric, self.began, self.first, self.pace = label, metric, time.perf_counter(), 0, ""
        self._line(f"{label}: started")

    def epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.epochs = epochs
        self.first = self.first or epoch

    def speed(self, examples_per_second: float, step_seconds: float) -> None:
        self.pace = f"{_pace(examples_per_second, step_seconds)}  "

    def epoch_end(self, epoch: int, loss: float, score: float, *, best: bool) -> None:
        seconds = time.perf_counter() - self.began
        left = seconds / (epoch - self.first + 1) * (self.epochs - epoch)
        mark = " (best)" if best else ""
        self._line(
            f"{self.label}: epoch {epoch}/{self.epochs}  loss {loss:.4f}  validation {self.metric} {score:.4f}{mark}  "
            f"{self.pace}{seconds:.0f} s, at most {left:.0f} s left"
        )

    def finish(self, text: str) -> None:
        self._line(f"{self.label}: {text}")


class LiveReporter(Reporter):
    """A line for each model: epoch, step, loss, validation score, speed, time left.

    It has a bar where the terminal has at least `WIDE` columns. With fewer the loss gives way to the score; 80 do.
    """

    WIDE = 120

    def __init__(self, console: Console):
        self.wide = console.width >= self.WIDE
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=10)] if self.wide else []),
            TextColumn("{task.fields[state]}"),
            *([TextColumn("left")] if self.wide else []),
            TimeRemainingColumn(compact=True),
            console=console,
            refresh_per_second=8,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> LiveReporter:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False)

    def start(self, label: str, metric: str) -> None:
        self.metric, self.score, self.pace, self.shown = metric, "", "", 0.0
        self.task = self.progress.add_task(label, total=None, state="fitting")

    def epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.at, self.epochs, self.steps = epoch, epochs, steps
        self._update(0, "")

    def step(self, step: int, loss: float) -> None:
        now = time.perf_counter()
        if now - self.shown > 0.1:
            self.shown = now
            self._update(step, f"loss {loss:.4f}")

    def speed(self, examples_per_second: float, step_seconds: float) -> None:
        self.pace = _pace(examples_per_second, step_seconds)

    def epoch_end(self, epoch: int, loss: float, score: float, *, best: bool) -> None:
        self.score = f"{self.metric} {score:.4f}{'*' if best else ' '}"
        self._update(self.steps, f"loss {loss:.4f}")

    def _update(self, step: int, loss: str) -> None:
        if self.task is None:
            return
        if self.wide:
            parts = [f"epoch {self.at}/{self.epochs} step {step}/{self.steps}", loss, self.score, self.pace]
        else:
            parts = [f"{self.at}/{self.epochs} {step}/{self.steps}", self.score or loss, self.pace]
        state = " ".join(filter(None, parts))
        done = (self.at - 1) * self.steps + step
        self.progress.update(self.task, total=self.epochs * self.steps, completed=done, state=state)

    def finish(self, text: str) -> None:
        if self.task is not None:
            total = self.progress.tasks[self.task].total or 1
            self.progress.update(self.task, total=total, completed=total, state=text)


def _pace(examples_per_second: float, step_seconds: float) -> str:
    """Speed in few characters.

    Example:

    >>> _pace(1144.6, 0.02796), _pace(3.21, 2.5)
    ('1,145 ex/s 28 ms', '3.2 ex/s 2500 ms')
    """
    digits = 0 if examples_per_second >= 10 else 1
    return f"{examples_per_second:,.{digits}f} ex/s {1000 * step_seconds:.0f} ms"


def reporter(*, quiet: bool = False, plain: bool = False) -> Reporter:
    """The reporter that suits where standard error goes.

    Args:
        quiet: show nothing.
        plain: show lines even on a terminal, as where several processes write them.
    """
    if quiet:
        return Reporter()
    console = Console(stderr=True)
    live = console.is_terminal and not console.is_dumb_terminal and not plain
    return LiveReporter(console) if live else PlainReporter(console)


def show_error(text: str) -> None:
    """An error, on standard error."""
    Console(stderr=True).print(f"error: {text}", markup=False, highlight=False, soft_wrap=True)
