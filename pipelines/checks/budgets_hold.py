"""No budget is spent, or will be before its period ends, and no threshold of one is reached."""

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
SELECT budget, period_from, spent_usd, budget_usd, reached_percent, run_out_on, as_of_on
FROM mart.budget_status
WHERE month_on >= date_trunc('month', $start::DATE) AND month_on < $end
QUALIFY row_number() OVER (PARTITION BY budget, period_from ORDER BY month_on DESC) = 1
ORDER BY reached_percent DESC NULLS LAST, budget
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    off = [row for row in rows if row[4] is not None or row[5] is not None]
    return Outcome(
        is_passed=not off,
        failed_count=len(off),
        failed_ids=[
            f"{budget} of {period:%Y-%m}: ${spent:,.2f} of ${allowed:,.2f} by {as_of}"
            + (f", {percent} % reached" if percent is not None else "")
            + (f", {'spent' if spent >= allowed else 'runs out'} on {out}" if out is not None else "")
            for budget, period, spent, allowed, percent, out, as_of in off
        ],
        summary=(
            f"{len(off)} of {len(rows)} budgets have reached a threshold or run out before their period ends; "
            f"see mart.budget_status."
            if off
            else f"{len(rows)} budgets hold."
            if rows
            else "There is no budget."
        ),
        severity="warn",
    )


CHECK = DomainCheck(
    name="budgets_hold",
    table="mart.budget_status",
    grain="daily",
    description="no budget has reached a threshold or runs out before its period ends",
    judge=_judge,
)
