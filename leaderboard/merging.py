"""Several boards as one, such as those of several people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.schema import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

KEY = ["run_id", "metric", "status"]
"""What a row is known by."""

SAID = ["value", "task", "task_version", "dataset_hash", "split", "model", "config_hash", "seed", "primary"]
"""What two rows with the same key agree on, if they are the same row."""

_NAMED = 20


def merge(boards: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all boards, each once, in their order; columns of others are kept.

    Where two rows of one run, metric and status say different things, the first one stays. ``attrs["conflicts"]`` names
    each of these.

    Args:
        boards: what `leaderboard.read_csv` gave.
    """
    import pandas as pd

    if not boards:
        raise ValueError("merge expects at least one board. Received: none")
    merged = boards[0] if len(boards) == 1 else pd.concat(boards, ignore_index=True)
    dtypes = {name: COLUMNS[name].dtype if name in COLUMNS else "string" for name in merged.columns}
    merged = merged.astype(dtypes)
    texts = [name for name, dtype in dtypes.items() if dtype == "string"]
    merged = merged.fillna(dict.fromkeys(texts, ""))
    different = merged.drop_duplicates([*KEY, *SAID])
    several = different[different.duplicated(KEY, keep=False)]
    result = merged.drop_duplicates(KEY, ignore_index=True)
    result.attrs["conflicts"] = _conflicts(several)
    return result


def _conflicts(rows: pd.DataFrame) -> list[str]:
    if not len(rows):
        return []
    found = []
    groups = list(rows.groupby(KEY, sort=False, dropna=False))
    for (run, metric, status), group in groups[:_NAMED]:
        differing = [
            f"{name} {' and '.join(str(value) for value in group[name].unique()[:3])}"
            for name in SAID
            if group[name].nunique(dropna=False) > 1
        ]
        found.append(f"run {run!r}, metric {metric!r}, status {status!r}: {'; '.join(differing)}")
    if len(groups) > _NAMED:
        found.append(f"and {len(groups) - _NAMED:,} more")
    return found
