"""What a run leaves behind: its directory, where it ran, what it cost.

A run's directory holds, in the order in which they are written:

    run.json         what was asked for: configuration, seed, data, command line
    environment.json versions, processor, commit
    checkpoint.npz   while training goes on: all that is needed to continue
    history.csv      loss and validation score of each epoch
    model.keras, spec.json   the model and its preprocessing; model.pickle where it is no neural network
    outcomes.jsonl   what happened on each test example, one JSON object a line; beside it a task's own files
    words.json       the words of the training examples, for a task that tells test examples apart by them
    profile.json, trace/     where its time went and some training steps, where that was asked for; see `suite.profile`
    result.json      the result; it is written last, so a directory that has it is complete
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import importlib.metadata
import io
import json
import pickle
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite import __version__, find
from suite.backend import Backend, cpu_name
from suite.config import RunConfig
from suite.data.lazy import light
from suite.errors import InputError, RunError
from suite.files import write_atomically
from suite.task import Evaluation, Result, Spec, Task

if TYPE_CHECKING:
    import keras

    from suite.preparing import Prepared

PACKAGES = (
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "pandas",
    "scikit-learn",
    "tokenizers",
    "seqeval",
    "sacrebleu",
)


@dataclasses.dataclass(frozen=True)
class Directory:
    """One run's directory, `<output>/<run_id>/`."""

    path: Path

    @property
    def run_id(self) -> str:
        """The directory's name."""
        return self.path.name

    @classmethod
    def new(cls, output: Path, config: RunConfig, prepared: Prepared) -> Directory:
        """Makes a directory for a run that begins."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        model = find.module_name(config.model)
        run_id = (
            f"{prepared.task.name}-{slug(prepared.splits.dataset)}-{model}-s{config.seed}-{now}-{secrets.token_hex(3)}"
        )
        directory = cls(output / run_id)
        asked = {
            **_identity(config, prepared),
            "task_origin": str(Path(prepared.origin).resolve()) if Path(prepared.origin).is_file() else prepared.origin,
            "command": sys.argv[1:],
            "config": config.model_dump(mode="json"),
            "source": None if prepared.source is None else dataclasses.asdict(prepared.source),
            "labels": sorted({label for one in light(prepared.splits.train) for label in prepared.task.labels(one)}),
        }
        write_atomically(directory.path / "run.json", json.dumps(asked, indent=2, ensure_ascii=False))
        write_atomically(directory.path / "environment.json", json.dumps(environment(), indent=2))
        return directory

    @classmethod
    def of(cls, output: Path, config: RunConfig, prepared: Prepared, *, resume: bool) -> Directory:
        """A new directory or, for a run that is resumed, the one that it had."""
        return (resume and cls.latest(output, config, prepared)) or cls.new(output, config, prepared)

    @classmethod
    def latest(cls, output: Path, config: RunConfig, prepared: Prepared) -> Directory | None:
        """The newest directory of the same configuration, seed, data and task version that has not failed."""
        wanted = _identity(config, prepared)
        for path in sorted(
            output.glob(f"{prepared.task.name}-*/run.json"), key=lambda p: p.parent.name[-22:], reverse=True
        ):
            try:
                asked = json.loads(path.read_text("utf8"))
            except (OSError, ValueError):  # not a run's directory, or one of which even this file is damaged
                continue
            directory = cls(path.parent)
            if {key: asked.get(key) for key in wanted} == wanted:
                result = directory.finished()
                if result is None or result.status != "failed":
                    return directory
        return None

    def finished(self) -> Result | None:
        """The run's result, if it ran to its end."""
        path = self.path / "result.json"
        if not path.is_file():
            return None
        value = json.loads(path.read_text("utf8"))
        value["lower_is_better"] = frozenset(value["lower_is_better"])
        return Result(**value)

    def finish(self, result: Result) -> None:
        """Writes the result; with it the directory is complete, and the checkpoint is no longer needed."""
        value = {**dataclasses.asdict(result), "lower_is_better": sorted(result.lower_is_better)}
        write_atomically(self.path / "result.json", json.dumps(value, indent=2, ensure_ascii=False))
        (self.path / "checkpoint.npz").unlink(missing_ok=True)

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """One line for each test example, and the task's own files."""
        lines = [json.dumps(outcome, ensure_ascii=False) + "\n" for outcome in evaluation.outcomes]
        write_atomically(self.path / "outcomes.jsonl", "".join(lines))
        for name, text in evaluation.files.items():
            write_atomically(self.path / name, text)

    def write_words(self, words: Collection[str]) -> None:
        """The words of the training examples."""
        write_atomically(self.path / "words.json", json.dumps(sorted(words)))

    def words(self) -> frozenset[str] | None:
        """What `write_words` wrote; `None` where an older version left nothing.

        Raises:
            InputError: the file is damaged.
        """
        path = self.path / "words.json"
        if not path.is_file():
            return None
        try:
            return frozenset(map(str, json.loads(path.read_text("utf8"))))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: damaged: {error}; expected a list of words") from error

    def write_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """One row an epoch; what a task watches beside its score has columns of its own."""
        text = io.StringIO()
        names = dict.fromkeys(["epoch", "loss", "score", "seconds"]) | {name: None for row in history for name in row}
        writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_atomically(self.path / "history.csv", text.getvalue())

    def write_profile(self, profile: Mapping[str, Any]) -> None:
        """Where the run's time went."""
        write_atomically(self.path / "profile.json", json.dumps(profile, indent=2))

    def profile(self) -> dict[str, Any] | None:
        """What `write_profile` wrote; `None` where it was not asked for."""
        path = self.path / "profile.json"
        return json.loads(path.read_text("utf8")) if path.is_file() else None

    def write_baseline(self, fitted: Callable[..., Any]) -> None:
        """A fitted model that is no neural network, as Python's own pickle."""
        write_atomically(self.path / "model.pickle", pickle.dumps(fitted))

    def write_model(self, model: keras.Model, spec: Spec) -> None:
        """The model in Keras's format and what its inputs and outputs mean."""
        write_atomically(self.path / "spec.json", spec.to_json())
        try:
            model.save(self.path / "model.keras")
        except OSError as error:
            raise RunError(f"{self.path / 'model.keras'}: cannot be written: {error.strerror or error}") from error


def result(config: RunConfig, task: Task, prepared: Prepared, directory: Directory, backend: Backend | None) -> Result:
    """A result that says what ran and where; scores and cost are filled in by the runner."""
    return Result(
        run_id=directory.run_id,
        timestamp=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        suite_version=__version__,
        task=task.name,
        task_version=task.version,
        dataset=prepared.splits.dataset,
        dataset_hash=prepared.fingerprint,
        split="test",
        model=find.module_name(config.model),
        config_hash=config.hash(),
        seed=config.seed,
        metric=task.metric,
        scores={},
        lower_is_better=task.lower_is_better,
        n_examples=len(prepared.splits.test),
        backend=f"{backend.name} {backend.version}" if backend else _scikit_learn(),
        device=backend.device if backend else cpu_name(),
        precision=backend.precision if backend else "float64",
        libraries=", ".join(f"{name} {version}" for name, version in _versions().items()),
        trials=config.trials,
        git_commit=git_commit(),
    )


def ceiling(config: RunConfig, task: Task, prepared: Prepared, evaluation: Evaluation) -> Result:
    """The row of the best possible answers. Its id follows from data and task alone, so that it is on a board once."""
    run_id = f"{task.name}-{slug(prepared.splits.dataset)}-ceiling-{prepared.fingerprint}-v{task.version}"
    base = result(config, task, prepared, Directory(Path(run_id)), None)
    return dataclasses.replace(
        base,
        model="ceiling",
        seed=0,
        config_hash="",
        backend="",
        device="",
        precision="",
        scores=evaluation.scores,
        note="an oracle that knows how the data was made",
    )


def environment() -> dict[str, Any]:
    """Versions and hardware, as a run's directory keeps them."""
    return {
        "suite": __version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": cpu_name(),
        "packages": _versions(),
    }


@cache
def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


@cache
def git_commit() -> str:
    """The commit of the suite's own checkout, `-dirty` where it was changed since; empty for an installed package."""
    root = find.SUITE.parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return ""
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def reset_peak_memory() -> None:
    """Starts the count of `peak_memory_mb` anew, where the system allows it (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mb() -> float | None:
    """The largest resident memory of this process since `reset_peak_memory`, in MiB; `None` where it is not known."""
    try:
        lines = Path("/proc/self/status").read_text("utf8").splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return round(kilobytes[0] / 1024, 1) if kilobytes else None


def _identity(config: RunConfig, prepared: Prepared) -> dict[str, Any]:
    """What must be equal for one run to continue another."""
    return {
        "task": prepared.task.name,
        "task_version": prepared.task.version,
        "dataset": prepared.splits.dataset,
        "dataset_hash": prepared.fingerprint,
        "model": find.module_name(config.model),
        "config_hash": config.hash(),
        "seed": config.seed,
    }


def slug(name: str) -> str:
    """The name as a part of a directory's name."""
    return "".join(c if c.isalnum() else "-" for c in name)


def _scikit_learn() -> str:
    return f"scikit-learn {importlib.metadata.version('scikit-learn')}"
