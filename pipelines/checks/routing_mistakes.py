"""Requests took the route that the policy asks for; the regret of those that did not is in dollars."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

WARN_ABOVE_USD = Decimal("0.01")
FAIL_ABOVE_RATIO = 0.02
"""Share of spend lost to regret above which the check fails."""

_KINDS = """
SELECT kind, count(*), sum(regret_usd) FROM mart.routing_mistakes
WHERE accrued_on >= $start AND accrued_on < $end GROUP BY ALL ORDER BY 3 DESC NULLS LAST
"""
_WORST = """
SELECT concat_ws(' ', request_id, kind, route, coalesce('$' || regret_usd::VARCHAR, 'no price'))
FROM mart.routing_mistakes WHERE accrued_on >= $start AND accrued_on < $end
ORDER BY regret_usd DESC NULLS LAST, request_id LIMIT 10
"""
_SPEND = "SELECT sum(effective_usd) FROM core.request_costs WHERE accrued_on >= $start AND accrued_on < $end"


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    span = {"start": start, "end": end}
    kinds = con.execute(_KINDS, span).fetchall()
    if not kinds:
        return Outcome(is_passed=True, summary="No routing mistake was found.", severity="warn")
    regret = sum((row[2] or Decimal(0) for row in kinds), Decimal(0))
    row = con.execute(_SPEND, span).fetchone()
    spend = row[0] if row and row[0] else Decimal(0)
    ratio = float(regret / spend) if spend else 0.0
    named = ", ".join(f"{kind} {count}" for kind, count, _ in kinds)
    return Outcome(
        is_passed=regret <= WARN_ABOVE_USD and not any(kind == "policy_violation" for kind, _, _ in kinds),
        severity="error" if ratio > FAIL_ABOVE_RATIO else "warn",
        failed_count=sum(row[1] for row in kinds),
        failed_ids=[row[0] for row in con.execute(_WORST, span).fetchall()],
        summary=f"Routing mistakes cost ${regret:,.2f} ({ratio:.2%} of spend): {named}.",
    )


CHECK = DomainCheck(
    name="routing_mistakes",
    table="mart.routing_mistakes",
    grain="daily",
    description="each attempt took an eligible route, and none that was dearer than an eligible one",
    judge=_judge,
)
