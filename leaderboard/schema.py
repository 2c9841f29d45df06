"""What a row of the leaderboard holds: every column's type, unit and meaning, and how a value becomes a cell.

The table below is the only place that names the columns. A row is a plain dictionary with one entry for each of them;
`None` stands for a number that does not apply.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from suite.task import Result

SCHEMA_VERSION = 2
"""Raised whenever a column is added, removed, or changes its meaning."""

TEXT_LIMIT = 1000
"""Characters that a text cell holds; the csv module and spreadsheets refuse cells that are very long."""

_ROUNDING = 1e-4  # scores that were rounded to four digits, each by half a unit, still keep the identities
_LARGEST_LOSS = 700.0  # exp of a little more is no finite number


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: the pandas dtype it is read as, its unit (empty for text), its meaning, and the first schema version
    that has it."""

    dtype: Literal["string", "Int64", "Float64", "boolean"]
    unit: str
    meaning: str
    since: int = 1


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "schema_version": Column("Int64", "version", "the version of this table that the row was written under"),
        "run_id": Column("string", "", "the run; its rows share everything but metric, value and direction"),
        "timestamp": Column("string", "", "when the run ended, ISO 8601 in UTC"),
        "suite_version": Column("string", "", "the version of the suite that ran it"),
        "task": Column("string", "", "the task's name"),
        "task_version": Column("Int64", "version", "the task's version; scores of different versions do not compare"),
        "dataset": Column("string", "", "the dataset's name"),
        "dataset_hash": Column("string", "", "fingerprint of all examples of all splits"),
        "split": Column("string", "", "the split that was scored"),
        "model": Column("string", "", "the architecture or baseline"),
        "config_hash": Column("string", "", "fingerprint of the resolved configuration"),
        "seed": Column("Int64", "number", "the seed of the run"),
        "metric": Column("string", "", "the name of the score"),
        "value": Column("Float64", "the metric's", "the score; fractions lie in [0, 1]; empty unless status is ok"),
        "primary": Column("boolean", "true or false", "whether this is the metric that the task is ranked by"),
        "higher_is_better": Column("boolean", "true or false", "the metric's direction"),
        "n_examples": Column("Int64", "examples", "the size of the scored split"),
        "params": Column("Int64", "numbers", "fitted parameters of the model"),
        "epochs": Column("Int64", "epochs", "passes over the training split"),
        "train_seconds": Column("Float64", "seconds", "wall time of training without compilation"),
        "compile_seconds": Column("Float64", "seconds", "wall time of compilation"),
        "examples_per_second": Column("Float64", "examples / second", "speed of training"),
        "peak_memory_mb": Column("Float64", "MiB (2**20 bytes)", "the largest memory in use"),
        "flops_per_example": Column(
            "Float64",
            "operations",
            "of a forward pass over a test example of mean length, counted: 2 for each multiply-add of matrix products "
            "and convolutions; see `suite.flops`",
            2,
        ),
        "tokens_per_second": Column("Float64", "tokens / second", "speed of training, where examples have tokens", 2),
        "backend": Column("string", "", "the Keras backend"),
        "device": Column("string", "", "the hardware; speeds compare on the same device alone"),
        "precision": Column("string", "", "the Keras dtype policy"),
        "libraries": Column("string", "", "versions of the libraries that computed: keras 3.15.1, numpy 2.4.6", 2),
        "git_commit": Column("string", "", "the commit of the code that ran"),
        "certificate": Column(
            "string", "", "probes that the model passed before it trained: causal, padding, batch", 2
        ),
        "selected_on": Column("string", "", "the split that chose the epoch; empty where nothing was chosen", 2),
        "trials": Column("Int64", "settings", "how many were tried for this model and dataset", 2),
        "test_scored": Column(
            "Int64", "times", "how often this configuration was scored on this test, with this time", 2
        ),
        "status": Column("string", "", "ok, failed, diverged or n/a"),
        "note": Column("string", "", "what a reader should know; the reason where status is not ok"),
    }
)
"""Column name to its description, in the order of the header."""


def rows(result: Result) -> list[dict[str, Any]]:
    """One row for each score of a run, the primary metric first; a run without scores gives one row without a value.

    Args:
        result: what happened in the run. Scores of a run whose status is not `ok` are left out.

    Returns:
        Dictionaries with every name in `COLUMNS`. Text is one line of at most `TEXT_LIMIT` characters.

    Raises:
        ValueError: names the run and the metric, where the primary metric is missing, a score is not finite, an f1,
            precision, recall or accuracy lies outside [0, 1], or an F1 does not fit its precision and recall.
    """
    if result.status == "ok":
        _validate(result)
        others = [name for name in result.scores if name != result.metric]
        scores: dict[str, float | None] = {name: float(result.scores[name]) for name in [result.metric, *others]}
    else:
        scores = {result.metric: None}
    shared = {name: _of(result, name) for name in COLUMNS}
    return [
        {
            **shared,
            "schema_version": SCHEMA_VERSION,
            "metric": one_line(metric),
            "value": value,
            "primary": metric == result.metric,
            "higher_is_better": metric not in result.lower_is_better,
        }
        for metric, value in scores.items()
    ]


def _of(result: Result, name: str) -> Any:
    """What a result says for a column, as a cell can hold it."""
    value = getattr(result, name, None)
    if value is None and COLUMNS[name].dtype == "string":
        return ""
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """Text as a cell can hold it: control characters and line ends are one space, the end of long text is cut.

    Example:

    >>> one_line("first\\r\\nsecond\\n")
    'first second'
    """
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()
    text = text.encode("utf-8", "replace").decode("utf-8")  # names of files may hold what UTF-8 cannot
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1].rstrip() + "…"


def to_cell(column: str, value: Any) -> str:
    """A value as the text of its cell. `from_cell` gives exactly the same value back, floats to the last bit.

    A spreadsheet takes text that begins with ``=``, ``+``, ``-`` or ``@`` for a formula and runs it. An apostrophe
    is put before such text, as before text that begins with apostrophes and then one of the four, so that exactly one
    is taken away again on reading.

    Raises:
        ValueError: the value is not of the column's type.

    Example:

    >>> to_cell("value", 0.1), to_cell("primary", True), to_cell("epochs", None), to_cell("note", "=1+1")
    ('0.1', 'true', '', "'=1+1")
    """
    dtype = COLUMNS[column].dtype
    if value is None and dtype != "string":
        return ""
    try:
        if dtype == "Int64":
            return str(_int64(operator.index(value)))
        if dtype == "Float64":
            return repr(float(value))
        if dtype == "boolean":
            return {False: "false", True: "true"}[value]
        text = one_line(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"column {column!r} holds {dtype}. Received: {value!r}") from error
    return f"'{text}" if re.match("'*[=+@-]", text) else text


def from_cell(column: str, cell: str) -> Any:
    """The value of a cell that `to_cell` or a spreadsheet wrote; `None` for an empty cell of a number.

    Raises:
        ValueError: the cell is not of the column's type.

    Example:

    >>> from_cell("value", "0.1"), from_cell("primary", "TRUE"), from_cell("epochs", ""), from_cell("note", "'=1+1")
    (0.1, True, None, '=1+1')
    """
    dtype = COLUMNS[column].dtype
    if dtype == "string":
        return cell[1:] if re.match("'+[=+@-]", cell) else cell
    if not cell:
        return None
    try:
        if dtype == "boolean":
            return {"false": False, "true": True}[cell.lower()]
        return float(cell) if dtype == "Float64" else _integer(cell)
    except (KeyError, ValueError) as error:
        raise ValueError(f"column {column!r} holds {dtype}. Received: {cell!r}") from error


def _integer(cell: str) -> int:
    try:
        return _int64(int(cell))
    except ValueError:  # programs that keep a column with holes as floats write 3 as 3.0
        number = float(cell)
        if not number.is_integer():
            raise
        return _int64(int(number))


def _int64(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} does not fit into 64 bits")
    return number


def _validate(result: Result) -> None:
    if result.metric not in result.scores:
        raise ValueError(
            f"run {result.run_id!r} has no score for its primary metric {result.metric!r}. "
            f"Received: {', '.join(result.scores) or 'no scores'}"
        )
    for metric, value in result.scores.items():
        where = f"run {result.run_id!r}, metric {metric!r}"
        if not math.isfinite(value):
            raise ValueError(f"{where}: a score is a finite number. Received: {value}")
        average, _, kind = metric.lower().rpartition("_")
        stem = metric[: len(metric) - len(kind)]
        if kind in {"f1", "precision", "recall", "accuracy"} and not 0 <= value <= 1:
            raise ValueError(f"{where}: expected a fraction in [0, 1]. Received: {value}")
        if kind == "f1":
            pair = [result.scores[stem + name] for name in ("precision", "recall") if stem + name in result.scores]
            # The mean of several F1 may lie below the means of precision and recall, but never above both.
            low = 0.0 if any(word in average for word in ("macro", "weighted", "mean")) else min(pair, default=0.0)
            if len(pair) == 2 and not low - _ROUNDING <= value <= max(pair) + _ROUNDING:
                raise ValueError(f"{where}: expected a value between precision and recall, {pair}. Received: {value}")
        loss = result.scores.get(f"{stem}loss", math.inf) if kind == "perplexity" else math.inf
        if loss < _LARGEST_LOSS and not math.isclose(value, math.exp(loss), rel_tol=10 * _ROUNDING):
            raise ValueError(f"{where}: expected exp(loss) = {math.exp(loss)}. Received: {value}")
        if metric == result.metric == "accuracy" and not any(name.startswith("accuracy/") for name in result.scores):
            _validate_count(where, value, result.n_examples)


def _validate_count(where: str, accuracy: float, n: int) -> None:
    """An accuracy is a number of right answers over the number of examples, if it is no mean over parts."""
    right = accuracy * n
    if n > 0 and abs(right - round(right)) > max(n * _ROUNDING / 2, 1e-6):
        raise ValueError(
            f"{where}: expected a whole number of right answers among {n} examples. Received: {accuracy}, which is "
            f"{right:.3f} of them; a mean of another kind has a name of its own, such as token_accuracy"
        )
