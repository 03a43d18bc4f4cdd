"""Every attempt with usage has a price; what has none is named, with its tokens and an estimate."""

import duckdb

from models.schemas.vocabulary import TOKEN_COLUMNS
from pipelines.checks.domain import Bound, DomainCheck, Outcome
from pipelines.quoting import shell_word

FAIL_ABOVE_RATIO = 0.05
"""Unpriced share of tokens above which the check fails rather than warns."""

_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in TOKEN_COLUMNS)
_QUERY = f"""
SELECT concat_ws(' ', provider, model, unpriced_reason, '(' || unpriced_meters || ')') AS cell, count(*) AS attempts,
       sum({_TOKENS})::BIGINT AS tokens, min(request_id) AS example,
       (SELECT sum({_TOKENS})::BIGINT FROM core.request_costs WHERE accrued_hour >= $start AND accrued_hour < $end)
FROM core.request_costs
WHERE price_state = 'unpriced' AND accrued_hour >= $start AND accrued_hour < $end
GROUP BY ALL ORDER BY tokens DESC, cell
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    if not rows:
        return Outcome(is_passed=True, summary="Every attempt is priced or declared free.", severity="warn")
    attempts, tokens = sum(row[1] for row in rows), sum(row[2] for row in rows)
    ratio = tokens / rows[0][4] if rows[0][4] else 0.0
    return Outcome(
        is_passed=False,
        severity="error" if ratio > FAIL_ABOVE_RATIO else "warn",
        failed_count=attempts,
        failed_ids=[f"{cell}: {count} attempts, {size} tokens" for cell, count, size, _, _ in rows],
        summary=(
            f"{attempts} attempts with {tokens:,} tokens ({ratio:.2%} of all) have no price; "
            f"first {rows[0][0]}: `nanodollar explain {shell_word(rows[0][3])}` says what to add."
        ),
    )


CHECK = DomainCheck(
    name="prices_cover_usage",
    table="core.request_costs",
    grain="hourly",
    description="no attempt is unpriced",
    judge=_judge,
)
