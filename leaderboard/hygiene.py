"""How often a test set was looked at: each look with another setting is a chance to select by accident."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard.store import read_csv

if TYPE_CHECKING:
    from suite.task import Result


def times_scored(path: str | os.PathLike[str], result: Result) -> int:
    """How many other runs on the board scored the same configuration, with any seed, on the same split and data."""
    if not Path(path).is_file():
        return 0
    board = read_csv(path)
    same = (
        (board["dataset_hash"] == result.dataset_hash)
        & (board["split"] == result.split)
        & (board["config_hash"] == result.config_hash)
        & (board["status"] == "ok")
        & (board["run_id"] != result.run_id)
    )
    return int(board.loc[same.fillna(False), "run_id"].nunique())
