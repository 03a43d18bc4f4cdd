"""Close a month once: only when it has ended, is built as a whole, and no check of its figures fails."""

import calendar
import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import duckdb
import polars as pl

from models.errors import ConfigurationError, DataError
from models.periods import business_day_bounds, floor_hour
from models.schemas import table
from pipelines.checks.listing import domain_checks
from pipelines.project import Project
from pipelines.steps import steps_of
from pipelines.steps.base import Frames, Window
from pipelines.steps.computing import made_by
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import whole_months
from pipelines.steps.reference import reference_frames
from pipelines.steps.repricing import moved_partitions
from pipelines.steps.staleness import kinds_of, stale_days, stale_hours
from pipelines.warehouse.closed import closed_periods
from pipelines.warehouse.commit import THIS_SNAPSHOT
from pipelines.warehouse.resource import Warehouse, days_between

_NOT_ABOUT_FIGURES = ("routing_mistakes", "cold_start_bursts")
"""Checks that find avoidable cost; the figures are right all the same."""
_NAMED = 3
"""Days and suites that a refusal names."""

_FAILED_SUITES = """
WITH results AS (
  SELECT *, CASE WHEN partition_from LIKE '%T%'
      THEN strptime(partition_from, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC'
      ELSE partition_from::DATE::TIMESTAMP AT TIME ZONE $zone END AS begins_at,
    CASE WHEN partition_to LIKE '%T%'
      THEN strptime(partition_to, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC'
      ELSE partition_to::DATE::TIMESTAMP AT TIME ZONE $zone END AS ends_at
  FROM ops.check_results WHERE check_name = 'rows_match_the_schema'
)
SELECT DISTINCT check_name || ' of ' || table_name FROM results f
WHERE NOT is_passed AND begins_at < $end AND ends_at > $start
  AND NOT EXISTS (
    FROM results later WHERE later.table_name = f.table_name AND later.checked_at > f.checked_at
      AND later.begins_at <= f.begins_at AND later.ends_at >= f.ends_at
  )
ORDER BY 1
"""
"""Suites that failed and were not run again over the same rows."""
_BUILT_DAYS = "SELECT partition_key FROM ops.partitions WHERE table_name = 'mart.cost_per_token_daily'"
_FIRST_DAY = """
SELECT (min(touched_hour) AT TIME ZONE $zone)::DATE
FROM ops.file_hours LEFT JOIN ops.landed_files f USING (file_hash, source)
WHERE f.source_kind IS NULL OR NOT list_contains($bills, f.source_kind)
"""
"""A bill tells of no day that has logs."""
_BILLED = "FROM mart.accruals_monthly WHERE month_on = ? OR booked_on = ? LIMIT 1"
"""A month may have nothing but its bills and commitments."""
_PROVISIONAL = """
SELECT count(*) FROM (
  SELECT accrued_hour AS hour FROM core.request_costs
  WHERE is_provisional AND accrued_on >= $first AND accrued_on < $last
  UNION SELECT pool_hour FROM core.pool_hours WHERE is_provisional AND accrued_on >= $first AND accrued_on < $last
)
"""
_CLOSED = """
SELECT period, closed_from, closed_to, closed_at, time_zone, spent.usd, corrected.number, corrected.usd
FROM ops.closed_periods, LATERAL (
  SELECT coalesce(sum(spend_usd), 0) AS usd FROM spend(DATE '1970-01-01', DATE '9999-01-01', 'corrected')
  WHERE component <> 'adjustments' AND spent_on >= closed_from AND spent_on < closed_to
) spent, LATERAL (
  SELECT count(*) AS number, coalesce(sum(difference_usd), 0) AS usd FROM core.adjustments
  WHERE accrued_on >= closed_from AND accrued_on < closed_to
) corrected
WHERE reopened_at IS NULL
ORDER BY period
"""


@dataclass(frozen=True)
class ClosedPeriod:
    """A closed month: [from, to), what its facts sum to, and the corrections since."""

    period: str
    closed_from: date
    closed_to: date
    closed_at: datetime
    time_zone: str
    spend_usd: Decimal
    correction_count: int
    correction_usd: Decimal


def closed_months(con: duckdb.DuckDBPyConnection) -> list[ClosedPeriod]:
    """Return the closed months in order."""
    return [ClosedPeriod(*row) for row in con.execute(_CLOSED).fetchall()]


def close_month(warehouse: Warehouse, month: str, *, now: datetime, closed_by: str) -> bool:
    """Close a month of business days; return False where it is closed already.

    Its monthly tables are computed from what the lake holds, and stay.

    Args:
        warehouse: the project's lake.
        month: as YYYY-MM.
        now: an instant that the month has ended before.
        closed_by: who closes it.

    Raises:
        ConfigurationError: that is no month, or earlier ones were closed by the days of another zone.
        DataError: the month is not fit to be closed; the sentence says all that stands against it.
    """
    first, last = month_bounds(month)
    project = warehouse.project
    with warehouse.reading() as con:
        if any(closed.period == month for closed in closed_months(con)):
            return False
        closed_periods(con, project)  # refuses another zone
        reasons = _reasons(con, project, first, last, now=now)
    if reasons:
        raise DataError(f"{month} stays open: {'; '.join(reasons)}.")
    row = {
        "period": month,
        "closed_from": first,
        "closed_to": last,
        "closed_at": now,
        "known_at": now,
        "time_zone": project.time_zone,
        "closed_by": closed_by,
        "currency": project.settings.reporting.currency,
    }
    closing = table("ops.closed_periods").frame([row])
    window = Window.of_days(first, last, now=now, time_zone=project.time_zone)
    with warehouse.committing(run_id=str(uuid.uuid4()), job="close") as commit:
        commit.refuse_if(
            "FROM ops.closed_periods WHERE period = ? AND reopened_at IS NULL",
            [month],
            f"{month} was closed meanwhile",
        )
        with warehouse.reading() as con:
            frames = _monthly_tables(con, project, window, closing)
        for dotted, rows in frames.items():
            commit.replace(dotted, rows, partitions=window.days)
        commit.append("ops.closed_periods", closing)
        commit.execute(
            f"UPDATE ops.closed_periods SET snapshot_id = {THIS_SNAPSHOT} WHERE period = ? AND closed_at = ?",
            [month, now],
        )
    return True


def _monthly_tables(
    con: duckdb.DuckDBPyConnection, project: Project, window: Window, closing: pl.DataFrame
) -> Frames:
    """Compute the month's tables as they stay: first while it is open, then with it among the closed ones."""
    monthly = {name: step for name, step in steps_of("daily").items() if step.covers is whole_months}
    closed = con.execute("FROM ops.closed_periods").pl()
    inputs = Inputs(con, project)
    made: Frames = {}
    try:
        for periods in (closed, pl.concat([closed, closing.select(closed.columns)])):
            inputs.hold_all({"ops.closed_periods": periods})
            for step in monthly.values():
                made |= made_by(step, inputs, window)
                for dotted in step.tables:
                    inputs.hold(dotted, made[dotted], window)
    finally:
        inputs.close()
    return made


def month_bounds(month: str) -> tuple[date, date]:
    """Return the first date of a month and that after its last."""
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", month)
    if found is None:
        raise ConfigurationError(f"{month!r} is no month; write it like 2026-10.")
    year, number = int(found[1]), int(found[2])
    first = date(year, number, 1)
    return first, first + timedelta(days=calendar.monthrange(year, number)[1])


def _reasons(
    con: duckdb.DuckDBPyConnection, project: Project, first: date, last: date, *, now: datetime
) -> list[str]:
    zone = project.time_zone
    # A day may begin inside an hour; checks look at whole hours.
    start, end = (floor_hour(business_day_bounds(day, time_zone=zone)[0]) for day in (first, last))
    settled_at = business_day_bounds(last, time_zone=zone)[0] + project.max_request_duration
    if now < settled_at:
        return [f"it can move until {settled_at:%Y-%m-%d %H:%M} UTC"]
    known = con.execute(_FIRST_DAY, {"zone": zone, "bills": kinds_of("raw.invoice_lines")}).fetchone()
    begins = known[0] if known is not None and known[0] is not None else last
    if begins >= last and not con.execute(_BILLED, [first, first]).fetchall():
        return ["nothing has landed for it"]
    reasons: list[str] = []
    built = {row[0] for row in con.execute(_BUILT_DAYS).fetchall()}
    expected = days_between(min(max(first, begins, project.start_on), last), last)
    missing = [day for day in expected if day.isoformat() not in built]
    if missing:
        reasons.append(
            f"{_some('day is missing', 'days are missing', missing)}: land their logs or, if there was no traffic, "
            "`nanodollar run --from DAY --to NEXT_DAY`"
        )
    hours = [hour for hour in stale_hours(con, project, now=now) if start <= hour < end]
    days = [day for day in stale_days(con, project, now=now) if first <= day < last and day not in missing]
    moved = _moved(con, project, (start, end), (first, last))
    if hours or days or moved:
        reasons.append("rows landed or prices changed since it was built: `nanodollar run`")
    provisional = con.execute(_PROVISIONAL, {"first": first, "last": last}).fetchall()[0][0]
    rebuild = f"`nanodollar run --from {start:%Y-%m-%dT%H:%M} --to {end:%Y-%m-%dT%H:%M}`"
    if provisional:
        reasons.append(f"{provisional} of its hours were built before they were settled: {rebuild}")
    span = {"start": start, "end": end, "zone": zone}
    suites = [row[0] for row in con.execute(_FAILED_SUITES, span).fetchall()]
    if suites:
        reasons.append(f"{_some('suite fails', 'suites fail', suites)}: {rebuild}")
    return reasons + [
        f"{check.name} fails: {outcome.summary.removesuffix('.')}"
        for check in domain_checks()
        if check.name not in _NOT_ABOUT_FIGURES
        for outcome in [
            check.outcome(
                con, project.settings, *((start, end) if check.grain == "hourly" else (first, last))
            )
        ]
        if not outcome.is_passed and outcome.severity == "error"
    ]


def _moved(
    con: duckdb.DuckDBPyConnection,
    project: Project,
    hours: tuple[datetime, datetime],
    days: tuple[date, date],
) -> bool:
    """Whether sheets that no run has read yet would change the month: its facts, or who pays for them."""
    moved = moved_partitions(con, reference_frames(project))
    monthly = [name for name, step in steps_of("daily").items() if step.covers is whole_months]
    return any(
        hours[0] <= one < hours[1]
        if isinstance(one, datetime)
        else name in monthly and days[0] <= one < days[1]
        for name, partitions in moved.items()
        for one in partitions
    )


def _some(one: str, many: str, things: list[date] | list[str]) -> str:
    named = ", ".join(str(thing) for thing in things[:_NAMED])
    more = f" and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return f"{len(things)} {one if len(things) == 1 else many} ({named}{more})"
