"""The leaderboard: one CSV file, one row for each run and metric."""

from leaderboard.schema import COLUMNS, SCHEMA_VERSION, rows

__all__ = ["COLUMNS", "SCHEMA_VERSION", "rows"]
