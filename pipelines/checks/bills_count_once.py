"""No two exports of one bill lie in the folders; where they do, one counts, and the other is named."""

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
SELECT source, invoice_issuer_name, strftime(billing_period_start, '%Y-%m') AS month, line_count_of_views, counted_by
FROM ops.bill_deliveries WHERE billed_on >= $start AND billed_on < $end AND line_count_of_views > 0 ORDER BY ALL
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    return Outcome(
        is_passed=not rows,
        failed_count=len(rows),
        failed_ids=[
            f"{issuer} {month}: {count} lines of source {source} bill the dollars of {counted_by} and count nowhere"
            for source, issuer, month, count, counted_by in rows
        ],
        summary=(
            f"{len(rows)} bills lie in the folders in two views, of which one counts: take the other out, or say in "
            f"covers what part each is for; see ops.bill_deliveries."
            if rows
            else "No bill lies in the folders in two views."
        ),
        severity="warn",
    )


CHECK = DomainCheck(
    name="bills_count_once",
    table="core.invoice_lines",
    grain="daily",
    description="of two exports of one bill one counts",
    judge=_judge,
)
