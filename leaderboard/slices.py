"""Where models differ: the score on parts of the test set, and how far each model is from the best one there.

Which parts there are follows from what the outcomes hold (see `leaderboard.outcomes`):

    slices {"negation": "yes"}    whatever the task itself tells apart
    task, label                   one part for each of up to twenty
    right, missed, invented       how many entities a sentence has
    right (a list of texts)       how long the answer is, or that there is none
    tokens, source, characters    short, middle and long examples, a third of them each

The gaps are paired: the same examples, and the same bootstrap draws, for both models. They are there to show where to
look; many of them are looked at, and no test is corrected for that.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from leaderboard import outcomes, resampling
from leaderboard.contests import CEILING, FLOOR, Contest, Entry

MOST = 20
"""The most parts into which one feature divides a test set."""

FEWEST = 10
"""The fewest examples of a part."""


@dataclasses.dataclass(frozen=True)
class Gap:
    """A model on one part of the test set.

    Args:
        score: its mean over seeds.
        behind: this score less that of the contest's best model.
        low, high: the 95 % interval of `behind`; NaN where nothing is known.
    """

    score: float
    behind: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Slice:
    """A part of the test set.

    Args:
        feature, part: such as "length" and "11 to 20".
        examples: how many it has.
        best: the model that is best on the whole test set.
        gaps: label -> how that model does here.
    """

    feature: str
    part: str
    examples: int
    best: str
    gaps: Mapping[str, Gap]


def of(contest: Contest, runs: Sequence[Path]) -> list[Slice]:
    """The parts of a contest's test set, for those models whose outcomes are all known.

    Args:
        contest: from `leaderboard.contests.gather`.
        runs: the folders with the runs' directories.
    """
    entries = [entry for entry in contest.entries if entry.parts and entry.model not in (CEILING, FLOOR)]
    if len(entries) < 2:
        return []
    sign = 1 if contest.higher_is_better else -1
    best = max(entries, key=lambda entry: sign * entry.runs.scores.mean())
    told = {entry.label: _told(entry, runs) for entry in entries}
    if any(len(each) != len(entry.rows) for entry, each in zip(entries, told.values(), strict=True)):
        return []
    # The examples are the same for all runs; older ones do not have what the task itself tells apart.
    everyone = [seed for seeds in told.values() for seed in seeds]
    telling = next((seed for seed in everyone if "slices" in seed[0]), everyone[0])
    found = []
    for feature, parts in features(telling).items():
        for part in sorted(set(parts), key=_natural):
            places = [place for place, each in enumerate(parts) if each == part]
            if len(places) >= FEWEST and (made := _slice(feature, part, places, told, best.label, str(contest.metric))):
                found.append(made)
    return found


def features(told: Sequence[outcomes.Outcome]) -> dict[str, list[str]]:
    """What divides the examples: the name of a feature -> the part to which each example belongs.

    Example:

    >>> features([{"label": "yes", "right": True}, {"label": "no", "right": False}])
    {'label': ['yes', 'no']}
    >>> found = features([{"tokens": n, "right": [], "missed": [[0, 1, "PER"]] * (n % 2)} for n in range(1, 7)])
    >>> found["length"]
    ['1 to 2', '1 to 2', '3 to 4', '3 to 4', '5 to 6', '5 to 6']
    >>> found["entities"]
    ['one', 'none', 'one', 'none', 'one', 'none']
    """
    made: dict[str, list[str]] = {}
    first = told[0]
    own = first.get("slices")
    for name in own if isinstance(own, Mapping) else ():
        made[str(name)] = [str((each.get("slices") or {}).get(name, "")) for each in told]
    for name in ("task", "label"):
        if name in first:
            made[name] = [str(each.get(name, "")) for each in told]
    if "missed" in first:
        counts = [len(each["right"]) + len(each["missed"]) for each in told]
        made["entities"] = [_number(count) for count in counts]
    elif isinstance(first.get("right"), list):
        made["answer"] = [_answer(each["right"]) for each in told]
    if any(name in first for name in ("source", "characters", "tokens")):
        made["length"] = _thirds([_length(each) for each in told])
    # A feature that has one part, or that tells almost each example apart, shows nothing.
    return {name: parts for name, parts in made.items() if 1 < len(set(parts)) <= MOST}


def _told(entry: Entry, runs: Sequence[Path]) -> list[list[outcomes.Outcome]]:
    return [list(found) for row in entry.rows if (found := outcomes.read(runs, str(row["run_id"])))]


def _slice(
    feature: str,
    part: str,
    places: Sequence[int],
    told: Mapping[str, Sequence[Sequence[outcomes.Outcome]]],
    best: str,
    metric: str,
) -> Slice | None:
    weights = resampling.draws(len(places))
    groups: dict[str, resampling.Runs] = {}
    for label, seeds in told.items():
        parts = [outcomes.scores(metric, [seed[place] for place in places]) for seed in seeds]
        known = [each for each in parts if each is not None]
        if len(known) != len(seeds):
            return None
        scores = np.array([each.value for each in known])
        groups[label] = resampling.Runs(scores, np.stack([each.drawn(weights) for each in known], axis=1))
    gaps = {}
    for label, group in groups.items():
        behind = float(group.scores.mean() - groups[best].scores.mean())
        low, high = (np.nan, np.nan)
        if label != best:
            low, high = (float(bound) for bound in resampling.estimate(group, groups[best]).interval())
        gaps[label] = Gap(float(group.scores.mean()), behind, low, high)
    if len({gap.score for gap in gaps.values()}) == 1:
        return None  # as where there is nothing to be found: no model differs
    return Slice(feature, part, len(places), best, gaps)


def _natural(part: str) -> list[tuple[int, str]]:
    """A key by which 9 stands before 10."""
    return [(int(piece) if piece.isdecimal() else -1, piece) for piece in re.split(r"(\d+)", part)]


def _number(count: int) -> str:
    return "none" if count == 0 else "one" if count == 1 else "several"


def _answer(answers: Sequence[str]) -> str:
    if not answers:
        return "none"
    return "one word" if min(len(str(answer).split()) for answer in answers) == 1 else "several words"


def _length(outcome: outcomes.Outcome) -> int:
    """Words of a source, characters of a text, tokens of a sentence."""
    if "source" in outcome:
        return len(str(outcome["source"]).split())
    return int(outcome.get("characters", outcome.get("tokens", 0)))


def _thirds(lengths: Sequence[int]) -> list[str]:
    """The third in which each length lies, by its bounds; equal lengths are in one."""
    first, second = np.quantile(lengths, [1 / 3, 2 / 3], method="lower")
    groups = [0 if length <= first else 1 if length <= second else 2 for length in lengths]
    names = {}
    for group in sorted(set(groups)):
        mine = [length for length, each in zip(lengths, groups, strict=True) if each == group]
        names[group] = f"{min(mine)} to {max(mine)}"
    return [names[group] for group in groups]
