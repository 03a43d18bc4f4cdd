"""The checks that fail: by this run or an earlier one, and not passed since over the same rows."""

from dataclasses import dataclass
from datetime import datetime

import duckdb

_FAILING = """
SELECT check_name, table_name, partition_from, partition_to, severity, summary, checked_at FROM ops.check_results f
WHERE NOT is_passed AND NOT EXISTS (
  FROM ops.check_results later
  WHERE later.check_name = f.check_name AND later.table_name = f.table_name AND later.checked_at > f.checked_at
    AND coalesce(later.partition_from, '') <= coalesce(f.partition_from, '')
    AND coalesce(later.partition_to, '~') >= coalesce(f.partition_to, '~')
)
ORDER BY severity, table_name, check_name, checked_at DESC
"""


@dataclass(frozen=True)
class FailingCheck:
    """A check that failed over the partitions [from, to) (all of its table without) and has not passed since."""

    check_name: str
    table_name: str
    partition_from: str | None
    partition_to: str | None
    severity: str
    summary: str
    checked_at: datetime


def failing_checks(con: duckdb.DuckDBPyConnection) -> list[FailingCheck]:
    """Return the checks that fail, by this run or an earlier one: errors first, the newest of a check first."""
    return [FailingCheck(*row) for row in con.execute(_FAILING).fetchall()]


def failing_lines(checks: list[FailingCheck]) -> list[str]:
    """Return a line for each check that fails: its newest result, and over how many earlier ranges it fails too."""
    by_check: dict[tuple[str, str], list[FailingCheck]] = {}
    for check in checks:
        by_check.setdefault((check.table_name, check.check_name), []).append(check)
    lines = []
    for newest, *earlier in by_check.values():
        line = f"{newest.severity}: {newest.table_name}: {newest.check_name}: {newest.summary}"
        lines.append(f"{line} It fails for {len(earlier)} earlier ranges too." if earlier else line)
    return lines
