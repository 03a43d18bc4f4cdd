"""Replicas start at the rate that the baseline expects; a burst is an incident with dollars and a cure."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

FAIL_ABOVE_USD = Decimal(50)
"""Dollars of the bursts of a range above which the check fails rather than warns."""

_QUERY = """
SELECT deployment, onset_at, ended_at, start_count, burst_usd, cause FROM mart.cold_start_bursts
WHERE started_on >= $start AND started_on < $end ORDER BY burst_usd DESC NULLS LAST, onset_at
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    if not rows:
        return Outcome(is_passed=True, summary="No burst of cold starts was found.", severity="warn")
    usd = sum((row[4] or Decimal(0) for row in rows), Decimal(0))
    return Outcome(
        is_passed=False,
        severity="error" if usd > FAIL_ABOVE_USD else "warn",
        failed_count=len(rows),
        failed_ids=[
            f"{name} {onset:%Y-%m-%d %H:%M}: {count} starts ({cause})"
            for name, onset, _, count, _, cause in rows
        ],
        summary=f"{len(rows)} bursts of cold starts cost ${usd:,.2f}: {', '.join(sorted({row[0] for row in rows}))}.",
    )


CHECK = DomainCheck(
    name="cold_start_bursts",
    table="mart.cold_start_bursts",
    grain="daily",
    description="no deployment starts replicas in bursts",
    judge=_judge,
)
