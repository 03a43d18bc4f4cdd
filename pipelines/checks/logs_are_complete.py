"""The logs hold what independent counters counted; a gap is named with its calls, tokens and estimated dollars."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome
from pipelines.limits import CompletenessSettings
from pipelines.settings import Settings

WORST_AT_MOST = 10

_RATIOS = """
SELECT provider, max(missing_ratio) FROM ops.completeness_daily
WHERE counted_on BETWEEN $first AND $last GROUP BY provider
"""
_SUMS = """
SELECT sum(counted_count)::BIGINT, sum(missing_count)::BIGINT, sum(counted_tokens)::BIGINT,
       sum(missing_tokens)::BIGINT, sum(missing_estimated_usd), bool_or(has_unpriced)
FROM ops.completeness_daily WHERE counted_on BETWEEN $first AND $last AND provider = ANY($providers)
"""
_WORST = """
SELECT strftime(bucket_hour, '%Y-%m-%dT%H:%MZ') || CASE WHEN bucket_seconds > 3600 THEN ' (day)' ELSE '' END,
       provider, coalesce(model, 'all models'), source, gap_count, gap_tokens, count(*) OVER ()
FROM ops.completeness
WHERE (bucket_hour AT TIME ZONE 'UTC')::DATE BETWEEN $first AND $last AND (gap_count > 0 OR gap_tokens > 0)
  AND provider = ANY($providers)
ORDER BY coalesce(gap_tokens, 0) DESC, coalesce(gap_count, 0) DESC, bucket_hour, provider, model, source LIMIT $most
"""


def judge(
    con: duckdb.DuckDBPyConnection, start: Bound, end: Bound, limits: CompletenessSettings | None = None
) -> Outcome:
    """Judge the UTC days of a range, provider by provider.

    A call that began before midnight and was counted after it is a gap of one day and none of the next.

    Args:
        con: session on the lake.
        start: first hour.
        end: hour after the last.
        limits: the shares of a provider's calls or tokens of a day in no log above which the check warns and fails.
    """
    # A counter that tells days only has its bucket in the day's first hour: whole days are judged.
    days = con.execute(
        "SELECT ($start::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE AS first, "
        "($end::TIMESTAMPTZ AT TIME ZONE 'UTC' - INTERVAL 1 MICROSECOND)::DATE AS last",
        {"start": start, "end": end},
    ).fetchall()[0]
    span = {"first": days[0], "last": days[1]}
    ratios: dict[str, float] = dict(con.execute(_RATIOS, span).fetchall())
    if not ratios:
        summary = "No independent counter covers these days: whether logs are missing is not known."
        return Outcome(is_passed=True, severity="warn", summary=summary)
    of = {provider: (limits or CompletenessSettings()).limits_of(provider) for provider in ratios}
    lacking = {provider: ratio for provider, ratio in ratios.items() if ratio > min(of[provider])}
    if not lacking:
        worst_ratio = max(ratios.values())
        summary = f"The logs hold what was counted, but for {worst_ratio:.2%} of a provider's day at most."
        return Outcome(is_passed=True, severity="warn", summary=summary)
    among = {**span, "providers": list(lacking)}
    ((counted, missing, counted_tokens, missing_tokens, usd, has_unpriced),) = con.execute(
        _SUMS, among
    ).fetchall()
    calls = f"{missing:,} of {counted:,} counted calls and " if counted else ""
    worst = con.execute(_WORST, {**among, "most": WORST_AT_MOST}).fetchall()
    return Outcome(
        is_passed=False,
        severity="error" if any(ratio > of[provider][1] for provider, ratio in lacking.items()) else "warn",
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
            f"log, at worst {max(lacking.values()):.2%} of a provider's day; deliver the missing logs."
        ),
    )


def _cost(usd: Decimal | None, has_unpriced: bool) -> str:
    if usd is None:
        return "without an estimate"
    digits = 2 if usd >= 1 else 6
    return f"about ${usd:,.{digits}f}" + (" and what has no price" if has_unpriced else "")


def _limits(settings: Settings) -> CompletenessSettings:
    return settings.completeness


CHECK = DomainCheck(
    name="logs_are_complete",
    table="ops.completeness",
    grain="hourly",
    description="the logs hold what independent counters counted",
    judge=judge,
    limits=_limits,
)
