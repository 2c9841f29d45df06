"""Two boards, such as before and after a change: which models became better or worse, and what else is different."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard import paired, pairs
from leaderboard.contests import CEILING, SPEED, Entry, gather, usable
from leaderboard.pairs import Pair

if TYPE_CHECKING:
    import pandas as pd

MUST_AGREE = ("task_version", "dataset_hash", "split", "metric")
"""What scores that are compared have in common, besides task, dataset and model."""

WHERE = (
    "suite_version",
    "git_commit",
    "backend",
    "device",
    "precision",
    "libraries",
    "selected_on",
    "n_examples",
    "params",
)

VERDICTS = ("worse", "better", "not resolved", "same answers", "cannot tell", "refused", "missing", "new")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """One model on one dataset, before and after.

    Args:
        task, dataset, split, metric, model: what was scored.
        seeds: those that both boards have.
        before, after: means over these seeds; `None` where one of the boards has none.
        pair: after less before.
        p_holm: its p-value by Holm's correction over all models that were compared.
        verdict: one of `VERDICTS`.
        reason: why it was refused, or what weakens it.
        differs: what else is different, as "backend: tensorflow 2.20 -> tensorflow 2.21".
        speed: the training's speed, after over before; `None` on different hardware.
    """

    task: str
    dataset: str
    split: str
    metric: str
    model: str
    verdict: str
    higher_is_better: bool = True
    seeds: Sequence[Any] = ()
    before: float | None = None
    after: float | None = None
    pair: Pair | None = None
    p_holm: float = math.nan
    reason: str = ""
    differs: Sequence[str] = ()
    speed: float | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All changes, the worst first, and what could not be used of the boards."""

    changes: Sequence[Change]
    problems: Sequence[str]

    @property
    def compared(self) -> list[Change]:
        """Those of which something can be said, or could with more seeds."""
        return [change for change in self.changes if change.pair is not None]

    @property
    def worse(self) -> list[Change]:
        """The real regressions."""
        return [change for change in self.changes if change.verdict == "worse"]

    def table(self) -> pd.DataFrame:
        """One row for each change."""
        import pandas as pd

        rows = []
        for change in self.changes:
            row = {field.name: getattr(change, field.name) for field in dataclasses.fields(change)}
            pair = row.pop("pair") or Pair(difference=math.nan)
            rows.append(
                row | {name: getattr(pair, name) for name in ("difference", "low", "high", "p", "certainty", "test")}
            )
        return pd.DataFrame(rows)


def compare(
    before: pd.DataFrame, after: pd.DataFrame, *, runs: Sequence[str | Path] = (), threshold: float = 0.0
) -> Comparison:
    """How two boards differ in their primary scores.

    Args:
        before, after: what `leaderboard.read_csv` gave.
        runs: folders with the runs' directories, for outcomes and configurations.
        threshold: the smallest loss that counts as worse, in the metric's unit.
    """
    folders = [Path(folder) for folder in runs]
    (old, wrong), (new, also) = usable(before), usable(after)
    one, two = _entries(old, folders), _entries(new, folders)
    changes = []
    for name in dict.fromkeys([*one, *two]):
        changes += _aligned(one.get(name, []), two.get(name, []), folders)
    raised = paired.holm([change.pair.p if change.pair else math.nan for change in changes])
    changes = [_decided(change, float(p), threshold) for change, p in zip(changes, raised, strict=True)]
    changes.sort(key=lambda change: (VERDICTS.index(change.verdict), change.task, change.dataset, change.model))
    return Comparison(changes, [f"before: {text}" for text in wrong] + [f"after: {text}" for text in also])


_Name = tuple[str, str, str]


def _entries(board: pd.DataFrame, runs: Sequence[Path]) -> dict[_Name, list[Entry]]:
    """The models by task, dataset and name."""
    found: dict[_Name, list[Entry]] = {}
    for contest in gather(board, runs=runs, ceiling=False):
        for entry in contest.entries:
            if entry.model != CEILING:
                found.setdefault((str(contest.task), str(contest.dataset), entry.model), []).append(entry)
    return found


def _aligned(old: Sequence[Entry], new: Sequence[Entry], runs: Sequence[Path]) -> list[Change]:
    """Pairs what may be compared, the same configuration first, then the newest ones of each."""
    changes, left, right = [], list(old), list(new)
    for keys in ((*MUST_AGREE, "config_hash"), MUST_AGREE):
        for one in sorted(left, key=_newest, reverse=True):
            for two in sorted(right, key=_newest, reverse=True):
                if all(one.rows[0][key] == two.rows[0][key] for key in keys):
                    changes.append(_change(one, two, runs))
                    left.remove(one)
                    right.remove(two)
                    break
    while left and right:
        one, two = left.pop(), right.pop()
        reasons = [
            f"{key} {one.rows[0][key]} and {two.rows[0][key]}"
            for key in MUST_AGREE
            if one.rows[0][key] != two.rows[0][key]
        ]
        changes.append(_described(one, "refused", before=one, after=two, reason=f"other {'; '.join(reasons)}"))
    changes += [_described(one, "missing", before=one) for one in left]
    return changes + [_described(two, "new", after=two) for two in right]


def _newest(entry: Entry) -> str:
    return max(str(row["timestamp"] or "") for row in entry.rows)


def _described(
    entry: Entry, verdict: str, *, before: Entry | None = None, after: Entry | None = None, **more: Any
) -> Change:
    row = entry.rows[0]
    named: dict[str, Any] = {name: str(row[name]) for name in ("task", "dataset", "split", "metric", "model")}
    return Change(
        **named,
        higher_is_better=bool(row["higher_is_better"]),
        verdict=verdict,
        before=_mean(before),
        after=_mean(after),
        **more,
    )


def _mean(entry: Entry | None) -> float | None:
    return float(entry.runs.scores.mean()) if entry is not None and entry.complete else None


def _change(old: Entry, new: Entry, runs: Sequence[Path]) -> Change:
    """Both entries cut to the seeds that both have, where there are any."""
    seeds = [row["seed"] for row in old.rows]
    both = [seed for seed in seeds if any(row["seed"] == seed for row in new.rows)]
    notes = []
    if both:
        for name, entry in (("before", old), ("after", new)):
            if alone := [row["seed"] for row in entry.rows if row["seed"] not in both]:
                notes.append(f"seeds {', '.join(map(str, alone))} only {name}")
        old, new = _cut(old, both), _cut(new, both)
    else:
        notes.append("no seed in common")
    shared: dict[str, Any] = {"before": old, "after": new, "seeds": both, "differs": _differences(old, new, runs)}
    if not (old.complete and new.complete):
        failed = [
            f"seed {row['seed']} {row['status']} {name}"
            for name, entry in (("before", old), ("after", new))
            for row in entry.rows
            if row["status"] != "ok"
        ]
        return _described(new, "cannot tell", reason="; ".join([*notes, *failed]), **shared)
    pair = pairs.judge(new, old, same_seeds=bool(both))
    if pair.single:
        notes.append("one seed: these runs differ or not, other seeds may do otherwise")
    if not pair.certainty:
        notes.append("no outcomes")
    return _described(new, "", pair=pair, reason="; ".join(notes), speed=_speed(old, new), **shared)


def _cut(entry: Entry, seeds: Sequence[Any]) -> Entry:
    places = [i for i, row in enumerate(entry.rows) if row["seed"] in seeds]
    parts = [entry.parts[i] for i in places] if entry.parts else []
    return dataclasses.replace(entry, rows=[entry.rows[i] for i in places], parts=parts)


def _decided(change: Change, p: float, threshold: float) -> Change:
    if change.pair is None:
        return change
    pair = change.pair
    gain = pair.difference if change.higher_is_better else -pair.difference
    if math.isnan(p):
        verdict = "cannot tell"
    elif p >= pairs.LEVEL:
        verdict = "same answers" if pair.test == "same answers" else "not resolved"
    elif gain > 0:
        verdict = "better"
    else:
        verdict = "worse" if -gain > threshold else "not resolved"
    reason = change.reason
    if p < pairs.LEVEL and verdict == "not resolved":
        reason = "; ".join(filter(None, [reason, "real, but within the threshold"]))
    return dataclasses.replace(change, p_holm=p, verdict=verdict, reason=reason)


def _speed(old: Entry, new: Entry) -> float | None:
    """Of training, after over before, on one and the same hardware with the same number of parameters or not."""
    devices = {row["device"] for row in (*old.rows, *new.rows)}
    first, second = old.cost("examples_per_second"), new.cost("examples_per_second")
    return second / first if len(devices) == 1 and "" not in devices and first and second else None


def _differences(old: Entry, new: Entry, runs: Sequence[Path]) -> list[str]:
    found = []
    if old.told("config_hash") != new.told("config_hash"):
        one, two = (_configuration(entry, runs) for entry in (old, new))
        keys = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)] if one and two else []
        found += [f"{key}: {one.get(key, 'none')} -> {two.get(key, 'none')}" for key in keys]
        if not keys:
            found.append(f"configuration: {old.told('config_hash')} -> {new.told('config_hash')}")
    for name in WHERE:
        before, after = (", ".join(dict.fromkeys(str(row[name]) for row in entry.rows)) for entry in (old, new))
        if before != after:
            found.append(f"{name}: {before or 'not told'} -> {after or 'not told'}")
    if len({row["device"] for row in (*old.rows, *new.rows)}) > 1 and any(
        row[name] for row in new.rows for name in SPEED
    ):
        found.append("speeds were not compared, as the hardware differs")
    return found


def _configuration(entry: Entry, runs: Sequence[Path]) -> dict[str, Any]:
    """The settings of an entry's first run, by dotted name, where its directory is found."""
    from leaderboard.outcomes import is_name

    run_id = str(entry.rows[0]["run_id"])
    for folder in runs if is_name(run_id) else ():
        try:
            config = json.loads((folder / run_id / "run.json").read_text("utf8"))["config"]
            flat = _flat(config)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        return {key: value for key, value in flat.items() if key != "seed"}
    return {}


def _flat(value: Mapping[str, Any], stem: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, each in value.items():
        found |= _flat(each, f"{stem}{key}.") if isinstance(each, Mapping) else {f"{stem}{key}": each}
    return found
