"""The spend of a day lies within the range of the weeks before it."""

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
SELECT accrued_on, scope_kind, scope, spend_usd, expected_usd, main_cause, main_provider, main_model
FROM mart.spend_anomalies WHERE accrued_on >= $start AND accrued_on < $end
ORDER BY abs(excess_usd) DESC, accrued_on, scope_kind, scope
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    return Outcome(
        is_passed=not rows,
        failed_count=len(rows),
        failed_ids=[
            f"{on} {kind} {scope}: ${spent:,.2f} where ${expected:,.2f} is usual; "
            + " of ".join(
                [cause, *([" ".join(filter(None, (provider, model)))] if provider or model else [])]
            )
            for on, kind, scope, spent, expected, cause, provider, model in rows
        ],
        summary=(
            f"The spend of {len({row[0] for row in rows})} days is unusual, by {len(rows)} scopes; see "
            f"mart.spend_anomalies."
            if rows
            else "The spend of every day lies within its range."
        ),
        severity="warn",
    )


CHECK = DomainCheck(
    name="spend_is_usual",
    table="mart.spend_anomalies",
    grain="daily",
    description="the spend of a day lies within the range of the weeks before it",
    judge=_judge,
)
