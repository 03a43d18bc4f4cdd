"""The logs hold what independent counters counted; a gap is named with its calls, tokens and estimated dollars."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

WARN_ABOVE_RATIO = 0.001
FAIL_ABOVE_RATIO = 0.01
"""Share of a provider's calls or tokens of a UTC day that is in no log, above which the check warns and fails.

A call that began before midnight and was counted after it is a gap of one day and none of the next.
"""
WORST_AT_MOST = 10

_SUMS = """
SELECT count(*), max(missing_ratio), sum(counted_count)::BIGINT, sum(missing_count)::BIGINT,
       sum(counted_tokens)::BIGINT, sum(missing_tokens)::BIGINT, sum(missing_estimated_usd), bool_or(has_unpriced)
FROM ops.completeness_daily WHERE counted_on BETWEEN $first AND $last
"""
_WORST = """
SELECT strftime(bucket_hour, '%Y-%m-%dT%H:%MZ') || CASE WHEN bucket_seconds > 3600 THEN ' (day)' ELSE '' END,
       provider, coalesce(model, 'all models'), source, gap_count, gap_tokens, count(*) OVER ()
FROM ops.completeness
WHERE (bucket_hour AT TIME ZONE 'UTC')::DATE BETWEEN $first AND $last AND (gap_count > 0 OR gap_tokens > 0)
ORDER BY coalesce(gap_tokens, 0) DESC, coalesce(gap_count, 0) DESC, bucket_hour, provider, model, source LIMIT $most
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    # A counter that tells days only has its bucket in the day's first hour: whole days are judged.
    days = con.execute(
        "SELECT ($start::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE AS first, "
        "($end::TIMESTAMPTZ AT TIME ZONE 'UTC' - INTERVAL 1 MICROSECOND)::DATE AS last",
        {"start": start, "end": end},
    ).fetchall()[0]
    span = {"first": days[0], "last": days[1]}
    ((rows, ratio, counted, missing, counted_tokens, missing_tokens, usd, has_unpriced),) = con.execute(
        _SUMS, span
    ).fetchall()
    if not rows:
        summary = "No independent counter covers these days: whether logs are missing is not known."
        return Outcome(is_passed=True, severity="warn", summary=summary)
    if ratio <= WARN_ABOVE_RATIO:
        summary = f"The logs hold what was counted, but for {ratio:.2%} of a provider's day at most."
        return Outcome(is_passed=True, severity="warn", summary=summary)
    calls = f"{missing:,} of {counted:,} counted calls and " if counted else ""
    worst = con.execute(_WORST, {**span, "most": WORST_AT_MOST}).fetchall()
    return Outcome(
        is_passed=False,
        severity="error" if ratio > FAIL_ABOVE_RATIO else "warn",
        failed_count=worst[0][6],
        failed_ids=[
            f"{at} {provider} {model} by {source}: "
            + " and ".join(
                f"{size:,} {unit}{'s' * (size != 1)}"
                for size, unit in ((calls, "call"), (tokens, "token"))
                if size
            )
            for at, provider, model, source, calls, tokens, _ in worst
        ],
        summary=(
            f"{calls}{missing_tokens:,} of {counted_tokens:,} counted tokens ({_cost(usd, has_unpriced)}) are in no "
            f"log, at worst {ratio:.2%} of a provider's day; deliver the missing logs."
        ),
    )


def _cost(usd: Decimal | None, has_unpriced: bool) -> str:
    if usd is None:
        return "without an estimate"
    digits = 2 if usd >= 1 else 6
    return f"about ${usd:,.{digits}f}" + (" and what has no price" if has_unpriced else "")


CHECK = DomainCheck(
    name="logs_are_complete",
    table="ops.completeness",
    grain="hourly",
    description="the logs hold what independent counters counted",
    judge=_judge,
)
