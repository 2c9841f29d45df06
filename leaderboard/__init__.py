"""The leaderboard: one CSV file, one row for each run and metric.

Example:

>>> import tempfile
>>> from pathlib import Path
>>> import leaderboard
>>> from suite.task import Result
>>> result = Result(
...     run_id="r1", timestamp="2025-01-31T12:00:00+00:00", suite_version="0.1.0", task="ner", task_version=1,
...     dataset="tiny", dataset_hash="0a", split="test", model="transformer", config_hash="0b", seed=0,
...     metric="f1", scores={"precision": 0.5, "f1": 0.6, "recall": 0.75}, n_examples=100,
... )
>>> folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "board.csv"
>>> leaderboard.check(path)  # before the training: raises where the rows could not be written after it
>>> leaderboard.append(path, leaderboard.rows(result))
3
>>> leaderboard.append(path, leaderboard.rows(result))  # again: they are there already
0
>>> leaderboard.read_csv(path)[["run_id", "metric", "value", "primary"]]
  run_id     metric  value  primary
0     r1         f1    0.6     True
1     r1  precision    0.5    False
2     r1     recall   0.75    False
>>> folder.cleanup()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaderboard.hygiene import times_scored
from leaderboard.schema import COLUMNS, SCHEMA_VERSION, rows
from leaderboard.store import append, check, read_csv

if TYPE_CHECKING:
    from leaderboard.comparing import compare
    from leaderboard.merging import merge
    from leaderboard.standings import study, summary

_HEAVY = {"compare": "comparing", "merge": "merging", "study": "standings", "summary": "standings"}

__all__ = [
    "COLUMNS",
    "SCHEMA_VERSION",
    "append",
    "check",
    "compare",
    "merge",
    "read_csv",
    "rows",
    "study",
    "summary",
    "times_scored",
]


def __getattr__(name: str) -> Any:
    """What needs NumPy and pandas is imported when it is asked for: whoever appends a row need not wait for them."""
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"leaderboard.{_HEAVY[name]}"), name)
