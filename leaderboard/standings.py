"""The board in numbers: each contest's models with mean, interval and rank, their differences, and the overall rank."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaderboard import paired, pairs
from leaderboard.contests import CEILING, COST, FLOOR, SAME, Contest, Entry, gather, usable
from leaderboard.pairs import LEVEL, Pair

if TYPE_CHECKING:
    import pandas as pd

MOST_TESTED = 60
"""Entries of a contest that are tested against each other: the best ones."""

_FRACTIONS = {"f1", "precision", "recall", "accuracy", "exact", "match", "auc"}
_ADVISED = 10  # entries in a contest whose every undecided pair is told what would decide it
_OVERALL_DRAWS = 1000
_FEW = 50


@dataclasses.dataclass(frozen=True)
class Standing:
    """An entry and its place.

    Args:
        entry: the model.
        mean: over its seeds; `None` where a seed has no score.
        low, high: the 95 % interval; `None` where nothing is known.
        certainty: what was free to vary in the interval.
        rank: 1 and the number of models that are proven better; `None` without a mean and for the ceiling.
        ties: letters; two models that share one are not separated by their test.
    """

    entry: Entry
    mean: float | None
    low: float | None = None
    high: float | None = None
    certainty: str = ""
    rank: int | None = None
    ties: str = ""


@dataclasses.dataclass(frozen=True)
class Result:
    """A contest that was judged.

    Args:
        contest: what was judged.
        standings: the best first.
        pairs: the places of two standings -> their difference, whether it is real, and its p-value by Holm.
    """

    contest: Contest
    standings: Sequence[Standing]
    pairs: dict[tuple[int, int], tuple[Pair, bool | None, float]]


@dataclasses.dataclass(frozen=True)
class Study:
    """All that a board says. Three tables, and what could not be used."""

    results: Sequence[Result]
    summary: pd.DataFrame
    pairs: pd.DataFrame
    overall: pd.DataFrame
    overall_note: str
    problems: Sequence[str]


def summary(board: pd.DataFrame, *, runs: Sequence[str | Path] = (), metric: str | None = None) -> pd.DataFrame:
    """One row for each contest and model, the best first: `study(...).summary`.

    Args:
        board: what `leaderboard.read_csv` gave.
        runs: folders with the runs' directories; without outcomes there, only several seeds can tell anything.
        metric: the metric to look at; each task's primary one where none is named.
    """
    return study(board, runs=runs, metric=metric).summary


def study(
    board: pd.DataFrame, *, runs: Sequence[str | Path] = (), metric: str | None = None, by: Iterable[str] = ()
) -> Study:
    """Judges all contests of a board.

    Args:
        board, runs, metric: as in `summary`.
        by: further columns by which entries are told apart, such as ``backend``.
    """
    import pandas as pd

    rows, problems = usable(board)
    contests = gather(rows, runs=[Path(folder) for folder in runs], metric=metric, by=by)
    results = [judged(contest) for contest in contests]
    ranks, note = overall(results)
    return Study(
        results,
        pd.DataFrame([line for result in results for line in _lines(result)], columns=list(_SUMMARY)).convert_dtypes(),
        pd.DataFrame([line for result in results for line in _pair_lines(result)], columns=list(_PAIRS)),
        ranks,
        note,
        [*problems, *_mixed(contests)],
    )


def judged(contest: Contest) -> Result:
    """A contest's models in order, with intervals, tests and ranks."""
    standings = [_measured(entry, contest) for entry in contest.entries]
    sign = -1 if contest.higher_is_better else 1
    standings.sort(key=lambda each: (each.mean is None, sign * (each.mean or 0.0), each.entry.label))
    tested = [place for place, each in enumerate(standings) if each.mean is not None and each.entry.model != CEILING][
        :MOST_TESTED
    ]
    couples = list(itertools.combinations(tested, 2))
    found = [pairs.judge(standings[one].entry, standings[two].entry) for one, two in couples]
    raised = paired.holm(np.array([pair.p for pair in found], "float64"))
    real = pairs.real([pair.p for pair in found])
    table = {couple: (pair, yes, float(p)) for couple, pair, yes, p in zip(couples, found, real, raised, strict=True)}
    separated = {couple for couple, (_, yes, _) in table.items() if yes}
    letters = _letters(tested, separated)
    for place in tested:
        better = sum((other, place) in separated for other in tested if other < place)
        standings[place] = dataclasses.replace(standings[place], rank=1 + better, ties=letters[place])
    return Result(contest, standings, table)


def _measured(entry: Entry, contest: Contest) -> Standing:
    from leaderboard import resampling

    if not entry.complete:
        return Standing(entry, None)
    mean = float(entry.runs.scores.mean())
    if entry.model == CEILING:
        return Standing(entry, mean)
    if (
        entry.parts
        and entry.parts[0].plain
        and (entry.runs.drawn is None or entry.runs.seeds == 1 or not np.ptp(entry.runs.drawn))
    ):
        part = entry.parts[0]
        low, high = paired.wilson(int(part.parts[:, 0].sum()), len(part.parts))
        return Standing(entry, mean, low, high, "examples only" if entry.runs.seeds == 1 else "seeds and examples")
    if not entry.parts and entry.runs.seeds == 1:
        return Standing(entry, mean)
    found = resampling.estimate(entry.runs)
    low, high = (float(bound) for bound in found.interval())
    if math.isnan(low):
        return Standing(entry, mean)
    if str(contest.metric).partition("/")[0].rpartition("_")[2] in _FRACTIONS and 0 <= mean <= 1:
        low, high = max(low, 0.0), min(high, 1.0)
    certainty = "seeds only" if not entry.parts else "examples only" if entry.runs.seeds == 1 else "seeds and examples"
    return Standing(entry, mean, low, high, certainty)


def _letters(places: Sequence[int], separated: set[tuple[int, int]]) -> dict[int, str]:
    """A letter for each largest group of which no two are separated, in the order of the best member.

    Reference: Piepho 2004, "An algorithm for a letter-based representation of all-pairwise comparisons".
    """
    groups: list[set[int]] = [set(places)] if places else []
    for one, two in sorted(separated):
        for group in [group for group in groups if one in group and two in group]:
            groups.remove(group)
            for part in (group - {one}, group - {two}):
                if not any(part <= other for other in groups):
                    groups = [other for other in groups if not other < part] + [part]
    groups.sort(key=sorted)
    names = ["abcdefghijklmnopqrstuvwxyz"[i % 26] + ("" if i < 26 else str(i // 26)) for i in range(len(groups))]
    return {
        place: "".join(name for name, group in zip(names, groups, strict=True) if place in group) for place in places
    }


def overall(results: Sequence[Result]) -> tuple[pd.DataFrame, str]:
    """The mean rank of each model over the contests that all of them took part in; first within a task, then over
    tasks. The interval says what other seeds and other test examples might have given; the tasks are taken as they are.
    """
    import pandas as pd

    table = pd.DataFrame(columns=["place", "model", "mean_rank", "low", "high", "tasks", "contests"])
    means = [
        {each.entry.label: each for each in result.standings if each.mean is not None and each.entry.model != CEILING}
        for result in results
    ]
    models, common = _common(means)
    if not common:
        return table, "no overall rank: no two models took part in two common contests"
    generator = np.random.default_rng(0)
    tasks: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number in common:
        higher = bool(results[number].contest.higher_is_better)
        found = [means[number][model] for model in models]
        values = np.array([each.mean for each in found], "float64")
        drawn = np.stack([_drawn(each, generator) for each in found], axis=1)
        tasks.setdefault(str(results[number].contest.task), []).append(
            (_ranks(values[None], higher)[0], _ranks(drawn, higher))
        )
    rank = np.mean([np.mean([one for one, _ in some], axis=0) for some in tasks.values()], axis=0)
    drawn = np.mean([np.mean([many for _, many in some], axis=0) for some in tasks.values()], axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    order = np.argsort(rank, kind="stable")
    table = pd.DataFrame(
        {
            "place": np.arange(1, len(models) + 1),
            "model": [models[i] for i in order],
            "mean_rank": rank[order],
            "low": np.minimum(low, rank)[order],
            "high": np.maximum(high, rank)[order],
            "tasks": len(tasks),
            "contests": len(common),
        }
    )
    left_out = sorted({label for some in means for label in some} - set(models))
    names = ", ".join(f"{results[number].contest.task} on {results[number].contest.dataset}" for number in common)
    note = f"mean rank over {len(tasks)} task{'s' * (len(tasks) > 1)} ({names})"
    if left_out:
        shown = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
        note += f"; without {shown}, which did not take part in all of them"
    return table, note


def _common(means: Sequence[dict[str, Any]]) -> tuple[list[str], list[int]]:
    """The models and contests of the overall rank: the rarest models are left out until two contests have all others
    and no further contest would be won by leaving out one more."""
    entered: dict[str, set[int]] = {}
    for number, some in enumerate(means):
        for label in some:
            entered.setdefault(label, set()).add(number)
    counts = sorted({len(numbers) for numbers in entered.values()}, reverse=True)
    best: tuple[int, list[str], list[int]] = (0, [], [])
    for least in counts:
        models = sorted(label for label, numbers in entered.items() if len(numbers) >= least)
        common = sorted(set.intersection(*(entered[label] for label in models)))
        size = len(models) * len(common)  # as many cells as can be had
        if len(models) > 1 and len(common) > 1 and size > best[0]:
            best = (size, models, common)
    return best[1], best[2]


def _drawn(standing: Standing, generator: np.random.Generator) -> np.ndarray:
    """What the mean might have been, (B,): drawn examples are the same for all models, drawn seeds are not."""
    from leaderboard import resampling

    runs, entry = standing.entry.runs, standing.entry
    mean = np.full(_OVERALL_DRAWS, standing.mean, "float64")
    if not entry.parts and runs.seeds == 1:
        return mean
    found = resampling.estimate(runs)
    if entry.parts and runs.drawn is not None:
        mean = np.resize(runs.drawn.mean(axis=1), _OVERALL_DRAWS)
    more = max(float(found.variance - found.test_variance), 0.0)
    return mean + math.sqrt(more) * generator.standard_t(max(runs.seeds - 1, 1), _OVERALL_DRAWS) if more else mean


def _ranks(values: np.ndarray, higher: bool) -> np.ndarray:
    """The ranks along the last axis; equal values share the mean of theirs."""
    keyed = -values if higher else values
    if values.shape[-1] > _FEW:  # comparing all with all would take too much memory
        from scipy.stats import rankdata

        return np.asarray(rankdata(keyed, axis=-1))
    less = (keyed[:, None, :] < keyed[:, :, None]).sum(axis=-1)
    same = (keyed[:, None, :] == keyed[:, :, None]).sum(axis=-1)
    return less + (same + 1) / 2


_SUMMARY = (
    *SAME,
    "n_examples",
    "rank",
    "ties",
    "label",
    "model",
    "config_hash",
    "kind",
    "mean",
    "low",
    "high",
    "certainty",
    "seed_sd",
    "seeds",
    "missing",
    "over_floor",
    *COST,
    "device",
    "precision",
    "backend",
    "run_ids",
)

_PAIRS = (
    *SAME,
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "real",
    "certainty",
    "test",
    "advice",
)


def _lines(result: Result) -> list[dict[str, Any]]:
    floors = [each.mean for each in result.standings if each.entry.model == FLOOR and each.mean is not None]
    floor = floors[0] if floors else None
    lines = []
    for each in result.standings:
        entry = each.entry
        known = [row["value"] for row in entry.rows if row["status"] == "ok"]
        lines.append(
            {
                **dict(zip(SAME, result.contest.key, strict=True)),
                "n_examples": entry.rows[0]["n_examples"],
                "rank": each.rank,
                "ties": each.ties,
                "label": entry.label,
                "model": entry.model,
                "config_hash": entry.rows[0]["config_hash"],
                "kind": {FLOOR: "floor", CEILING: "ceiling"}.get(entry.model, "model"),
                "mean": each.mean,
                "low": each.low,
                "high": each.high,
                "certainty": each.certainty,
                "seed_sd": float(np.std(known, ddof=1)) if entry.complete and len(known) > 1 else None,
                "seeds": len(known),
                "missing": ", ".join(
                    f"seed {row['seed']} {row['status']}" for row in entry.rows if row["status"] != "ok"
                ),
                "over_floor": None if floor is None or each.mean is None else each.mean - floor,
                **{name: entry.cost(name) for name in COST},
                "device": entry.told("device"),
                "precision": entry.told("precision"),
                "backend": entry.told("backend"),
                "run_ids": [row["run_id"] for row in entry.rows],
            }
        )
    return lines


def _pair_lines(result: Result) -> list[dict[str, Any]]:
    advise = len(result.standings) <= _ADVISED
    lines = []
    for (one, two), (pair, yes, raised) in result.pairs.items():
        first, second = result.standings[one].entry, result.standings[two].entry
        advice = ""
        if not yes and advise:
            advice = pair.needed(first.rows[0]["n_examples"])
        lines.append(
            {
                **dict(zip(SAME, result.contest.key, strict=True)),
                "first": first.label,
                "second": second.label,
                "difference": pair.difference,
                "low": pair.low,
                "high": pair.high,
                "p": pair.p,
                "p_holm": raised,
                "real": yes,
                "certainty": pair.certainty,
                "test": pair.test,
                "advice": advice,
            }
        )
    return lines


def _mixed(contests: Sequence[Contest]) -> list[str]:
    """Contests of the same name that may not be compared with each other, and why."""
    found: dict[tuple[Any, ...], list[Contest]] = {}
    for contest in contests:
        found.setdefault((contest.task, contest.dataset, contest.split), []).append(contest)
    notes = []
    for (task, dataset, split), some in found.items():
        differing = [name for name in SAME if len({getattr(contest, name) for contest in some}) > 1]
        if differing:
            notes.append(f"{task} on {dataset}, {split}: kept apart, as {', '.join(differing)} differ")
    return notes


__all__ = ["LEVEL", "MOST_TESTED", "Result", "Standing", "Study", "judged", "overall", "study", "summary"]
