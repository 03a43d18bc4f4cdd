"""Open a closed month again: with a reason, leaving a trace, and without counting its corrections twice."""

import uuid
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from models.errors import ConfigurationError, DataError
from models.finance.restatements import CORRECTED_DIMS
from models.periods import business_day_bounds, floor_hour
from models.schemas import table
from pipelines.automation.closing import closed_months, month_bounds
from pipelines.steps import steps
from pipelines.warehouse.commit import THIS_SNAPSHOT
from pipelines.warehouse.resource import Warehouse, days_between, hours_between
from pipelines.warehouse.staged import partition_key

# What was booked as a correction is in the facts once they are computed anew: it is taken back today.
_TAKEN_BACK = f"""
SELECT max(adjustment_id) || '/reopened' AS adjustment_id, source, request_id, charge_id, deployment,
  {", ".join(CORRECTED_DIMS)}, accrued_hour, accrued_on, $booked_on::DATE AS booked_on,
  sum(difference_usd)::DECIMAL(38,12) AS old_usd, 0::DECIMAL(38,12) AS new_usd,
  (-sum(difference_usd))::DECIMAL(38,12) AS difference_usd, 'reopened' AS reason
FROM core.adjustments WHERE accrued_on >= $first AND accrued_on < $last
GROUP BY ALL HAVING sum(difference_usd) <> 0
"""
_OUTDATE = f"""
UPDATE ops.partitions SET read_snapshot = -{THIS_SNAPSHOT}
WHERE list_contains(?, table_name) AND list_contains(?, partition_key)
"""


def reopen_month(warehouse: Warehouse, month: str, *, why: str, reopened_by: str, now: datetime) -> int:
    """Open a closed month again; the next run computes it anew. Return the corrections that are taken back.

    Args:
        warehouse: the project's lake.
        month: as YYYY-MM; the last that is closed.
        why: the reason, kept with the close.
        reopened_by: who opens it.
        now: the present.

    Raises:
        ConfigurationError: no reason, no month, or one that is not closed.
        DataError: a later month is closed.
    """
    first, last = month_bounds(month)
    if not why.strip():
        raise ConfigurationError(f"Say why {month} is opened again: `nanodollar reopen {month} --why TEXT`.")
    project = warehouse.project
    with warehouse.reading() as con:
        closed = [item.period for item in closed_months(con)]
        if month not in closed:
            raise ConfigurationError(f"{month} is not closed; `nanodollar close --list` shows what is.")
        if closed[-1] != month:
            raise DataError(f"{closed[-1]} is closed after {month}; reopen it first.")
        booked_on = now.astimezone(ZoneInfo(project.time_zone)).date()
        span = {"first": first, "last": last, "booked_on": booked_on}
        taken_back = con.execute(_TAKEN_BACK, span).pl()
    with warehouse.committing(run_id=str(uuid.uuid4()), job="reopen") as commit:
        commit.refuse_if(
            "SELECT 1 WHERE NOT EXISTS (FROM ops.closed_periods WHERE period = ? AND reopened_at IS NULL)",
            [month],
            f"{month} was opened meanwhile",
        )
        commit.append(
            "core.adjustments", table("core.adjustments").conform(taken_back.lazy(), fill=True).collect()
        )
        commit.execute(
            "UPDATE ops.closed_periods SET reopened_at = ?, reopened_by = ?, reopen_reason = ? "
            "WHERE period = ? AND reopened_at IS NULL",
            [now, reopened_by, why.strip(), month],
        )
        commit.execute(_OUTDATE, [list(steps()), _partitions(first, last, project.time_zone)])
    return taken_back.height


def _partitions(first: date, last: date, time_zone: str) -> list[str]:
    """Return the keys of the hours and business days of a month."""
    start, end = (business_day_bounds(day, time_zone=time_zone)[0] for day in (first, last))
    hours = hours_between(floor_hour(start), floor_hour(end - timedelta.resolution) + timedelta(hours=1))
    return [partition_key(one) for one in (*hours, *days_between(first, last))]
