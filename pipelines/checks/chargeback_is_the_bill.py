"""What payers are charged for a month is what it cost, bills included, to the picodollar."""

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
WITH charged AS (
  SELECT month_on, sum(usd) AS charged_usd FROM mart.chargeback_monthly
  WHERE month_on >= date_trunc('month', $start::DATE) AND month_on < $end GROUP BY ALL
),
spent AS (
  SELECT date_trunc('month', accrued_on)::DATE AS month_on, sum(usd) AS usd FROM mart.spend_daily
  WHERE accrued_on >= date_trunc('month', $start::DATE) GROUP BY ALL
  UNION ALL
  SELECT date_trunc('month', booked_on)::DATE, sum(difference_usd) FROM core.adjustments
  WHERE booked_on >= date_trunc('month', $start::DATE) GROUP BY ALL
  UNION ALL
  SELECT booked_on, sum(true_up_usd) FROM mart.accruals_monthly
  WHERE booked_on >= date_trunc('month', $start::DATE) GROUP BY ALL
)
SELECT month_on, charged_usd, coalesce(sum(usd), 0) AS spent_usd
FROM charged LEFT JOIN spent USING (month_on) GROUP BY ALL ORDER BY month_on
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    off = [row for row in rows if row[1] != row[2]]
    return Outcome(
        is_passed=not off,
        failed_count=len(off),
        failed_ids=[f"{month:%Y-%m}: ${charged} charged, ${spent} spent" for month, charged, spent in off],
        summary=(
            f"Of {len(off)} of {len(rows)} months the payers are charged another sum than was spent; `nanodollar run`."
            if off
            else f"The payers of {len(rows)} months are charged what was spent, to the picodollar."
        ),
    )


CHECK = DomainCheck(
    name="chargeback_is_the_bill",
    table="mart.chargeback_monthly",
    grain="daily",
    description="what payers are charged for a month is what it cost",
    judge=_judge,
)
