"""Running a run again, from what its directory says: the same result, within noise of it, or another?"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from suite import backend as backends
from suite import config as configuration
from suite import find, preparing, runner, trained
from suite.console import Reporter
from suite.errors import InputError
from suite.records import Directory
from suite.task import Result

LEVEL = 0.05

Kind = Literal["identical", "within noise", "different", "cannot tell"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came out.

    Args:
        kind: ``identical``: each score and each example's outcome is the same, and so are all weights of a network;
            ``within noise``: the scores differ by no more than seeds do; ``different``: by more; ``cannot tell``: they
            differ, and there are too few other seeds to say.
        why: in words.
        metric, before, after: the primary score.
        changed: what differs between then and now, as sentences.
        run_id: of the new run.
    """

    kind: Kind
    why: str
    metric: str
    before: float
    after: float
    changed: tuple[str, ...]
    run_id: str


def verify(path: Path, *, output: Path, seeds: Sequence[float], device: str, reporter: Reporter) -> Verdict:
    """Trains and scores again what a finished run's directory describes.

    Args:
        path: the run's directory.
        output: the folder in which the new run gets a directory.
        seeds: primary scores of other seeds of the same configuration, from a leaderboard.
        device: `auto` takes a GPU where there is one.
        reporter: where progress is shown.

    Raises:
        InputError: the run has not finished, does not say where its data was, or the data is not the same any more.
    """
    asked, before, directory = trained.read_run(path)
    task = find.task(asked["task_origin"])
    config = trained.saved_config(asked["config"], task, path)
    if asked.get("source") is None:
        raise InputError(f"{path / 'run.json'}: does not say where its data was read from; made by an older version?")
    source = preparing.Source(**asked["source"])
    prepared = preparing.prepare_again(task, asked["task_origin"], source, config)
    if prepared.fingerprint != asked["dataset_hash"]:
        raise InputError(
            f"{path}: the data is not what it was: its fingerprint is {prepared.fingerprint}, and was "
            f"{asked['dataset_hash']}; a score on other data verifies nothing"
        )
    backend = None
    if config.model not in task.baselines:
        backend = backends.prepare(device=device, precision=config.precision)
        configuration.architecture(task, config.model).encoder(config.architecture)
    again = Directory.new(output, config, prepared)
    after = runner.run(config, prepared, again, backend=backend, reporter=reporter)
    return _judge(before, after, directory, again, seeds)


def _judge(before: Result, after: Result, old: Directory, new: Directory, seeds: Sequence[float]) -> Verdict:
    metric = before.metric
    if after.status != "ok":
        return _verdict("different", f"the new run {after.status}: {after.note}", before, after, old, new)
    first, second = before.scores[metric], after.scores[metric]
    same = before.scores == after.scores and _outcomes(old) == _outcomes(new)
    if same and _weights(old) == _weights(new):
        return _verdict(
            "identical", "scores, outcomes and weights are the same to the last bit", before, after, old, new
        )
    if same:
        return _verdict(
            "within noise", "scores and outcomes are the same, and weights are not", before, after, old, new
        )
    others = [first, *seeds]
    if len(others) < 3:
        why = f"{len(others) - 1} other seed(s) on the leaderboard, and 2 are needed to know how much seeds differ"
        return _verdict("cannot tell", why, before, after, old, new)
    from scipy import stats

    spread = float(np.std(others, ddof=1))
    limit = float(stats.t.ppf(1 - LEVEL / 2, len(others) - 1)) * spread * 2**0.5
    kind: Kind = "within noise" if abs(second - first) <= limit else "different"
    why = (
        f"two runs with seeds of their own differ by at most {limit:.4f} in 95 of 100 cases, by the standard deviation "
        f"{spread:.4f} of {len(others)} seeds (t test)"
    )
    return _verdict(kind, why, before, after, old, new)


def _verdict(kind: Kind, why: str, before: Result, after: Result, old: Directory, new: Directory) -> Verdict:
    return Verdict(
        kind=kind,
        why=why,
        metric=before.metric,
        before=before.scores[before.metric],
        after=after.scores.get(before.metric, float("nan")),
        changed=_changed(before, after, old, new),
        run_id=new.run_id,
    )


def _changed(before: Result, after: Result, old: Directory, new: Directory) -> tuple[str, ...]:
    """What a reader would look at first where the results differ."""
    names = ("suite_version", "git_commit", "backend", "device", "precision")
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    then, now = (_environment(directory) for directory in (old, new))
    pairs += [(name, then.get(name, ""), now.get(name, "")) for name in sorted({*then, *now})]
    return tuple(
        f"{name}: {first or 'unknown'}, now {second or 'unknown'}" for name, first, second in pairs if first != second
    )


def _environment(directory: Directory) -> dict[str, Any]:
    try:
        found = json.loads((directory.path / "environment.json").read_text("utf8"))
    except (OSError, ValueError):
        return {}
    return {**found.get("packages", {}), **{name: found.get(name, "") for name in ("python", "system")}}


def _outcomes(directory: Directory) -> list[dict[str, Any]]:
    """What happened on each example. The parts that it belongs to are no result, and older versions wrote none."""
    lines = (directory.path / "outcomes.jsonl").read_text("utf8").split("\n")
    return [{key: value for key, value in json.loads(line).items() if key != "slices"} for line in lines if line]


def _weights(directory: Directory) -> dict[str, bytes]:
    """Every array of a saved network, by its place in the file; nothing for a model that is none."""
    import h5py

    path = directory.path / "model.keras"
    if not path.is_file():
        return {}
    arrays: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, item: arrays.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return arrays


def other_seeds(board: Path, result: Result) -> list[float]:
    """The primary scores of other seeds of a run's configuration, on the same data, from a leaderboard."""
    import leaderboard

    if not board.is_file():
        return []
    rows = leaderboard.read_csv(board)
    same = rows["primary"] & (rows["status"] == "ok") & (rows["seed"] != result.seed)
    for name in ("config_hash", "dataset_hash", "split", "task", "task_version", "metric"):
        same &= rows[name] == getattr(result, name)
    return [float(value) for value in rows.loc[same.fillna(False)].drop_duplicates("seed")["value"]]


def find_run(name: str, output: Path) -> Path:
    """A run's directory, from its path or its id below the folder of runs."""
    for path in (Path(name), output / name):
        if (path / "run.json").is_file():
            return path
    raise InputError(f"{name}: neither a run's directory nor the id of a run in {output}")
