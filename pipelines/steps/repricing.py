"""Mark what changed sheets put out of date, step by step; the next run computes it again."""

from collections.abc import Mapping
from datetime import date, datetime

import duckdb
import polars as pl

from pipelines.steps import steps
from pipelines.steps.base import Outdated
from pipelines.warehouse.commit import THIS_SNAPSHOT, Commit
from pipelines.warehouse.staged import partition_key

OUTDATE = f"""
UPDATE ops.partitions SET read_snapshot = -{THIS_SNAPSHOT}
WHERE table_name = ? AND partition_key IN (SELECT unnest(?::VARCHAR[]))
"""


def moved_partitions(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]
) -> dict[str, list[datetime | date]]:
    """Return the partitions, in order, of each step that new reference tables put out of date."""
    found: dict[Outdated, list[datetime | date]] = {}
    moved: dict[str, list[datetime | date]] = {}
    for step in steps().values():
        for outdated in step.outdated_by:
            if outdated not in found:
                found[outdated] = outdated(con, frames)
            moved[step.table] = sorted({*moved.get(step.table, []), *found[outdated]})
    return {dotted: partitions for dotted, partitions in moved.items() if partitions}


def outdate(
    con: duckdb.DuckDBPyConnection, commit: Commit, frames: Mapping[str, pl.DataFrame]
) -> dict[str, int]:
    """Mark, in the commit that brings new sheets, what has to be computed again; the next run does it.

    Args:
        con: a session on the lake as it is before the commit.
        commit: the transaction that replaces the reference tables.
        frames: their new rows.

    Returns:
        The number of partitions to compute again, by table.
    """
    if not con.execute("FROM ops.partitions WHERE table_name LIKE 'core.%' LIMIT 1").fetchall():
        return {}
    moved = moved_partitions(con, frames)
    for dotted, partitions in moved.items():
        commit.execute(OUTDATE, [dotted, [partition_key(one) for one in partitions]])
    return {dotted: len(partitions) for dotted, partitions in moved.items()}
