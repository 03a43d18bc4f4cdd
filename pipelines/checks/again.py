"""Judge what the checks of a run's own hours and days leave open.

What failed before and has moved since is judged again as a whole, so that a mended warehouse passes; rows that were
committed, and never judged for the run was cut off, are judged now. Where the project's limits of a check are others
than before, stricter or looser, all that it judged is judged by the new ones.
"""

import hashlib
from datetime import datetime, timedelta

import duckdb

from models.periods import HOUR
from models.schemas import tables
from pipelines.checks.domain import Bound, Bounds, CheckOutcome, DomainCheck, keep_results
from pipelines.checks.expectations import SUITE_CHECK, judge_slices
from pipelines.checks.listing import domain_checks
from pipelines.checks.rules import Slice
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


_STANDING = """
SELECT DISTINCT partition_from, partition_to FROM ops.check_results f
WHERE check_name = $check AND table_name = $table AND partition_from IS NOT NULL AND NOT EXISTS (
  FROM ops.check_results later
  WHERE later.check_name = f.check_name AND later.table_name = f.table_name AND later.checked_at > f.checked_at
    AND (later.partition_from, later.partition_to) <> (f.partition_from, f.partition_to)
    AND later.partition_from <= f.partition_from AND later.partition_to >= f.partition_to
)
ORDER BY ALL
"""
"""The ranges of a check whose results stand: no later result is of all their rows and more."""


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
        limits = {
            check: (limits_hash, _limits_before(con, check))
            for check in domain_checks()
            if (limits_hash := _limits_hash(warehouse, check))
        }
        changed = {check: now for check, (now, before) in limits.items() if now != before}
        # Of limits that were never kept nothing is known but those of now, by which the run has judged.
        others = [check for check in changed if limits[check][1] is not None]
        found += [result for check in others for result in _by_new_limits(warehouse, con, check)]
    keep_results(warehouse, found, run_id=run_id)
    if changed:
        with warehouse.committing(run_id=run_id, job="checks") as commit:
            for check, now in changed.items():
                commit.execute("DELETE FROM ops.progress WHERE task = ?", [f"limits.{check.name}"])
                commit.mark(f"limits.{check.name}", [now])


def _limits_hash(warehouse: Warehouse, check: DomainCheck) -> str | None:
    """Return a hash of what the settings say to a check, None of a check that takes no limits."""
    if check.limits is None:
        return None
    return hashlib.sha256(repr(check.limits(warehouse.project.settings)).encode()).hexdigest()[:16]


def _limits_before(con: duckdb.DuckDBPyConnection, check: DomainCheck) -> str | None:
    found = con.execute("SELECT key FROM ops.progress WHERE task = ?", [f"limits.{check.name}"]).fetchone()
    return None if found is None else str(found[0])


def _by_new_limits(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, check: DomainCheck
) -> list[CheckOutcome]:
    """Return what a check finds now in all ranges that it judged before."""
    ranges = con.execute(_STANDING, {"check": check.name, "table": check.table}).fetchall()
    # A range within another is judged with it.
    spans = [
        (partition_value(first), partition_value(last))
        for first, last in ranges
        if not any((start, end) != (first, last) and start <= first and last <= end for start, end in ranges)
    ]
    settings = warehouse.project.settings
    return [
        CheckOutcome(
            name=check.name, table=check.table, bounds=span, outcome=check.outcome(con, settings, *span)
        )
        for span in spans
    ]


def _unjudged(warehouse: Warehouse, con: duckdb.DuckDBPyConnection, since: datetime) -> list[CheckOutcome]:
    """Return the results of checks of rows that no check has looked at."""
    bounds = {
        dotted: None if last == "all" else (partition_value(first), _after(partition_value(last)))
        for dotted, first, last in con.execute(_UNJUDGED, {"since": since, "check": SUITE_CHECK}).fetchall()
    }
    slices = [Slice(table=tables()[dotted], bounds=span) for dotted, span in bounds.items()]
    outcomes = judge_slices(con, slices, docs=warehouse.project.reports / "data_docs")
    found = [
        CheckOutcome(name=SUITE_CHECK, table=one.table.dotted, bounds=one.bounds, outcome=outcome)
        for one, outcome in zip(slices, outcomes, strict=True)
    ]
    for check in domain_checks():
        span = bounds.get(check.table)
        if span is not None:
            outcome = check.outcome(con, warehouse.project.settings, *span)
            found.append(CheckOutcome(name=check.name, table=check.table, bounds=span, outcome=outcome))
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


def _judged(warehouse: Warehouse, con: duckdb.DuckDBPyConnection, check: FailingCheck) -> CheckOutcome | None:
    """Return what a check finds now; None of a check that this version does not have."""
    bounds: Bounds = None
    if check.partition_from is not None and check.partition_to is not None:
        bounds = partition_value(check.partition_from), partition_value(check.partition_to)
    if check.check_name == SUITE_CHECK and check.table_name in tables():
        one = Slice(table=tables()[check.table_name], bounds=bounds)
        (outcome,) = judge_slices(con, [one], docs=warehouse.project.reports / "data_docs")
        return CheckOutcome(name=check.check_name, table=check.table_name, bounds=bounds, outcome=outcome)
    for domain in domain_checks():
        if domain.name == check.check_name and bounds is not None:
            outcome = domain.outcome(con, warehouse.project.settings, *bounds)
            return CheckOutcome(name=domain.name, table=domain.table, bounds=bounds, outcome=outcome)
    return None
