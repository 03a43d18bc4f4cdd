"""What an open business day has cost so far is no more than a whole day of its kind costs."""

from datetime import timedelta

import duckdb

from models.finance.anomalies import REACH_DAYS, unusual_days
from pipelines.checks.domain import Bound, DomainCheck, Outcome

# Of a day whose marts are built, the mart of anomalies tells more.
_OPEN = """
SELECT DISTINCT accrued_on FROM (
  SELECT accrued_on FROM core.request_costs WHERE accrued_hour >= $start AND accrued_hour < $end
  UNION ALL SELECT accrued_on FROM core.pool_hours WHERE pool_hour >= $start AND pool_hour < $end
) WHERE accrued_on > coalesce((SELECT max(accrued_on) FROM mart.spend_daily), DATE '1970-01-01')
ORDER BY accrued_on DESC LIMIT 1
"""
_DAILY = """
WITH spent AS (
  SELECT accrued_on, provider, usd FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $day
  UNION ALL SELECT accrued_on, provider, effective_usd FROM core.request_costs
  WHERE accrued_on = $day AND cost_basis IS DISTINCT FROM 'gpu'
  UNION ALL SELECT accrued_on, provider, billed_usd FROM core.pool_hours WHERE accrued_on = $day
)
SELECT scope_kind, scope, accrued_on, coalesce(sum(usd), 0)::DECIMAL(38,12) AS usd FROM (
  SELECT accrued_on, usd, unnest([
      {'scope_kind': 'total', 'scope': 'total'}, {'scope_kind': 'provider', 'scope': provider}
    ], recursive := true)
  FROM spent
) WHERE scope IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    found = con.execute(_OPEN, {"start": start, "end": end}).fetchone()
    if found is None:
        return Outcome(is_passed=True, summary="No business day is open in these hours.")
    (day,) = found
    daily = con.execute(_DAILY, {"from_on": day - timedelta(days=REACH_DAYS), "day": day}).pl()
    unusual = unusual_days(daily, first=day, last=day + timedelta(days=1))
    rows = [row for row in unusual.iter_rows(named=True) if row["spend_usd"] > row["high_usd"]]
    return Outcome(
        is_passed=not rows,
        failed_count=len(rows),
        failed_ids=[
            f"{day} {row['scope_kind']} {row['scope']}: ${row['spend_usd']:,.2f} so far, where a whole day is "
            f"${row['expected_usd']:,.2f} and at most ${row['high_usd']:,.2f}"
            for row in rows
        ],
        summary=(
            f"{day} has cost more so far than a whole day of its kind, by {len(rows)} scopes."
            if rows
            else f"{day} has not cost more so far than a whole day of its kind."
        ),
        severity="warn",
    )


CHECK = DomainCheck(
    name="spend_so_far_is_usual",
    table="core.request_costs",
    grain="hourly",
    description="an open day has cost no more than a whole day of its kind",
    judge=_judge,
)
