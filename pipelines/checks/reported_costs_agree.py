"""What a provider says that it charged for a call is what the price book makes of it, within rounding."""

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_ODD = """
SELECT DISTINCT c.source, c.provider, c.model
FROM core.request_costs c JOIN core.requests r USING (source, request_id, started_at)
WHERE c.accrued_hour >= $start AND c.accrued_hour < $end AND r.is_cost_billed
  AND costs_differ(c.gateway_reported_usd, c.effective_usd)
"""
_DRIFTS = f"""
SELECT d.source, d.provider, d.model, d.began_on, d.last_on, d.call_count, d.reported_usd, d.effective_usd
FROM reported_cost_drift() d JOIN ({_ODD}) USING (source, provider, model)
WHERE d.is_billed
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    bounds = {"start": start, "end": end}
    # The drift is looked for in all days, so only where some call of this range states its charge.
    drifts = (
        con.execute(_DRIFTS, bounds).fetchall() if con.execute(f"{_ODD} LIMIT 1", bounds).fetchone() else []
    )
    if not drifts:
        return Outcome(is_passed=True, summary="What providers say they charged agrees.", severity="warn")
    calls = sum(row[5] for row in drifts)
    return Outcome(
        is_passed=False,
        severity="warn",
        failed_count=calls,
        failed_ids=[
            f"{source} {provider} {model} since {began or last}: {count} calls, charged {charged:f}, ours {ours:f}"
            for source, provider, model, began, last, count, charged, ours in drifts
        ],
        summary=(
            f"{calls} calls of {len(drifts)} models cost other than their provider says it charged, first "
            f"{drifts[0][1]} {drifts[0][2]} since {drifts[0][3] or drifts[0][4]}; compare its sheet with its list."
        ),
    )


CHECK = DomainCheck(
    name="reported_costs_agree",
    table="core.request_costs",
    grain="hourly",
    description="what a provider says it charged is what its sheet makes of the call",
    judge=_judge,
)
