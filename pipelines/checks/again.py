"""Judge what the checks of a run's own hours and days leave open.

What failed before and has moved since is judged again as a whole, so that a mended warehouse passes; rows that were
committed, and never judged for the run was cut off, are judged now.
"""

from datetime import datetime, timedelta

import duckdb

from models.periods import HOUR
from models.schemas import tables
from pipelines.checks.domain import Bound, Bounds, Checked, keep_results
from pipelines.checks.expectations import SUITE_CHECK, Slice, judge_slices
from pipelines.checks.listing import domain_checks
from pipelines.warehouse.commit import partition_value
from pipelines.warehouse.failing import FailingCheck, failing_checks
from pipelines.warehouse.resource import Warehouse

_HAS_MOVED = """
SELECT 1 FROM ops.partitions
WHERE table_name = $table AND changed_at > $checked_at
  AND ($first IS NULL OR (partition_key >= $first AND partition_key < $last))
UNION ALL
SELECT 1 FROM ops.check_results
WHERE table_name = $table AND check_name = $check AND checked_at > $checked_at
  AND ($first IS NULL OR (partition_from < $last AND partition_to > $first))
LIMIT 1
"""
"""Rows of the range changed since, or a part of it was judged since."""


_UNJUDGED = """
SELECT table_name, min(partition_key), max(partition_key) FROM ops.partitions p
WHERE changed_at > $since AND split_part(table_name, '.', 1) IN ('ref', 'core', 'mart') AND NOT EXISTS (
  FROM ops.check_results r
  WHERE r.table_name = p.table_name AND r.check_name = $check AND r.checked_at >= p.changed_at
    AND coalesce(r.partition_from, '') <= p.partition_key AND coalesce(r.partition_to, '~') > p.partition_key
)
GROUP BY ALL ORDER BY ALL
"""


def judge_again(warehouse: Warehouse, *, run_id: str, since: datetime) -> None:
    """Judge the ranges of failed checks whose rows have moved since, and what was never judged; store what is found.

    Args:
        warehouse: the lake.
        run_id: run that the results are booked to.
        since: rows that were written before have been judged.
    """
    with warehouse.reading() as con:
        found = _unjudged(warehouse, con, since)
        moved = [check for check in failing_checks(con) if _has_moved(con, check)]
        found += [result for check in moved if (result := _judged(warehouse, con, check)) is not None]
    keep_results(warehouse, found, run_id=run_id)


def _unjudged(warehouse: Warehouse, con: duckdb.DuckDBPyConnection, since: datetime) -> list[Checked]:
    """Return the results of checks of rows that no check has looked at."""
    bounds = {
        dotted: None if last == "all" else (partition_value(first), _after(partition_value(last)))
        for dotted, first, last in con.execute(_UNJUDGED, {"since": since, "check": SUITE_CHECK}).fetchall()
    }
    slices = [Slice(table=tables()[dotted], bounds=span) for dotted, span in bounds.items()]
    outcomes = judge_slices(con, slices, docs=warehouse.project.reports / "data_docs")
    found = [
        Checked(name=SUITE_CHECK, table=one.table.dotted, bounds=one.bounds, outcome=outcome)
        for one, outcome in zip(slices, outcomes, strict=True)
    ]
    for check in domain_checks():
        span = bounds.get(check.table)
        if span is not None:
            outcome = check.outcome(con, warehouse.project.settings, *span)
            found.append(Checked(name=check.name, table=check.table, bounds=span, outcome=outcome))
    return found


def _after(value: Bound) -> Bound:
    """Return the hour or the business date after one."""
    return value + (HOUR if isinstance(value, datetime) else timedelta(days=1))


def _has_moved(con: duckdb.DuckDBPyConnection, check: FailingCheck) -> bool:
    parameters = {
        "table": check.table_name,
        "check": check.check_name,
        "checked_at": check.checked_at,
        "first": check.partition_from,
        "last": check.partition_to,
    }
    return con.execute(_HAS_MOVED, parameters).fetchone() is not None


def _judged(warehouse: Warehouse, con: duckdb.DuckDBPyConnection, check: FailingCheck) -> Checked | None:
    """Return what a check finds now; None of a check that this version does not have."""
    bounds: Bounds = None
    if check.partition_from is not None and check.partition_to is not None:
        bounds = partition_value(check.partition_from), partition_value(check.partition_to)
    if check.check_name == SUITE_CHECK and check.table_name in tables():
        one = Slice(table=tables()[check.table_name], bounds=bounds)
        (outcome,) = judge_slices(con, [one], docs=warehouse.project.reports / "data_docs")
        return Checked(name=check.check_name, table=check.table_name, bounds=bounds, outcome=outcome)
    for domain in domain_checks():
        if domain.name == check.check_name and bounds is not None:
            outcome = domain.outcome(con, warehouse.project.settings, *bounds)
            return Checked(name=domain.name, table=domain.table, bounds=bounds, outcome=outcome)
    return None
