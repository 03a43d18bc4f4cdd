"""Judge again what failed before and has moved since, so that a mended warehouse passes as a whole."""

import duckdb

from models.schemas import tables
from pipelines.checks.domain import Bounds, Checked, keep_results
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


def judge_again(warehouse: Warehouse, *, run_id: str) -> None:
    """Judge the ranges of failed checks whose rows have moved since, and store what is found."""
    with warehouse.reading() as con:
        moved = [check for check in failing_checks(con) if _has_moved(con, check)]
        found = [result for check in moved if (result := _judged(warehouse, con, check)) is not None]
    keep_results(warehouse, found, run_id=run_id)


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
