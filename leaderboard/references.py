"""Published references: what other systems reach on the same data, beside which our models are shown.

They are rows of their own, in `references.csv` beside this file, and never of the board: nothing ranks them. How far a
figure may be compared with ours is in `protocol_match`:

    full      same data, split and metric, and test chose nothing
    partial   same test and metric; something else differs or is not known, such as outside resources
    none      another split or another metric, or test chose the model; the figure is for orientation alone

`reason` says what differs. Values are in the board's units: fractions, except BLEU, which goes to 100.
"""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from suite.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PATH = Path(__file__).with_name("references.csv")

DTYPES: dict[str, Literal["string", "Int64", "Float64"]] = {
    "task": "string",
    "dataset": "string",
    "metric": "string",
    "system": "string",
    "value": "Float64",
    "source": "string",
    "year": "Int64",
    "protocol_match": "string",
    "reason": "string",
}
"""The columns, in the order of the header, and what pandas reads them as. Only `year` and `reason` may be empty."""

MATCHES = ("full", "partial", "none")

_FRACTIONS = {"f1", "precision", "recall", "accuracy"}


def load(path: str | os.PathLike[str] = PATH) -> pd.DataFrame:
    """The references as a table with the columns of `DTYPES`, in the order of the file.

    Raises:
        InputError: names the file and the line, where the header is another, a cell is missing or not a number, a
            fraction lies outside [0, 1], `protocol_match` is none of `MATCHES`, a match that is not full has no
            reason, or a system has two values for one metric.

    Example:

    >>> table = load()
    >>> wnut17 = table[(table.dataset == "wnut17") & (table.metric == "f1")]
    >>> wnut17[["value", "year", "protocol_match"]].head(2)
        value  year protocol_match
    0  0.1735  2026           full
    3  0.4186  2017        partial
    """
    import pandas as pd

    path = Path(path)
    rows: list[dict[str, str]] = []
    seen: set[tuple[str, ...]] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames != list(DTYPES):
                raise InputError(
                    f"{path}, line 1: expected the columns {', '.join(DTYPES)}. "
                    f"Received: {', '.join(reader.fieldnames or ['nothing'])}"
                )
            for row in reader:
                if fault := _fault(row):
                    raise InputError(f"{path}, line {reader.line_num}: {fault}")
                key = tuple(row[name] for name in ("task", "dataset", "metric", "system"))
                if key in seen:
                    raise InputError(f"{path}, line {reader.line_num}: {row['system']!r} has a value already")
                seen.add(key)
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot read the references: {error}") from error
    return pd.DataFrame({name: pd.Series(_column(name, rows), dtype=dtype) for name, dtype in DTYPES.items()})


def _column(name: str, rows: list[dict[str, str]]) -> list[Any]:
    cells = [row[name] for row in rows]
    if DTYPES[name] == "string":
        return list(cells)
    return [(float if DTYPES[name] == "Float64" else int)(cell) if cell else None for cell in cells]


def _fault(row: dict[str, str]) -> str:
    """What is wrong with a row; empty where nothing is."""
    if None in row or None in row.values():
        return f"expected {len(DTYPES)} cells"
    if empty := [name for name in DTYPES if not row[name].strip() and name not in ("year", "reason")]:
        return f"{', '.join(empty)} must not be empty"
    try:
        value = float(row["value"])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        return f"expected a finite value. Received: {row['value']!r}"
    if row["metric"].split("/")[0].rpartition("_")[2] in _FRACTIONS and not 0 <= value <= 1:
        return f"{row['metric']} is a fraction in [0, 1]. Received: {row['value']}"
    if row["year"] and not (row["year"].isdecimal() and 1950 <= int(row["year"]) <= 2100):
        return f"expected a year of four digits, or nothing. Received: {row['year']!r}"
    if row["protocol_match"] not in MATCHES:
        return f"protocol_match is {', '.join(MATCHES)}. Received: {row['protocol_match']!r}"
    if row["protocol_match"] != "full" and not row["reason"].strip():
        return "a protocol that does not match in full needs a reason"
    return ""
