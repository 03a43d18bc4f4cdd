"""Deployments start replicas at the rate that their baseline expects; a burst is an incident with dollars."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome
from pipelines.limits import ColdStartSettings
from pipelines.settings import Settings

_QUERY = """
SELECT deployment, onset_at, start_count, burst_usd, delayed_request_count, cause FROM mart.cold_start_bursts
WHERE started_on >= $start AND started_on < $end ORDER BY burst_usd DESC NULLS LAST, onset_at
"""


def judge(
    con: duckdb.DuckDBPyConnection, start: Bound, end: Bound, limits: ColdStartSettings | None = None
) -> Outcome:
    """Judge the bursts of a range, deployment by deployment.

    Args:
        con: session on the lake.
        start: first business date.
        end: business date after the last.
        limits: the dollars of a deployment's bursts in the range above which the check warns and fails. Bursts
            without a price warn.
    """
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    spent: dict[str, Decimal] = {}
    unpriced = {name for name, _, _, usd, _, _ in rows if usd is None}
    for name, _, _, usd, _, _ in rows:
        spent[name] = spent.get(name, Decimal(0)) + (usd or Decimal(0))
    of = {name: (limits or ColdStartSettings()).limits_of(name) for name in spent}
    failed = {name for name, usd in spent.items() if usd > of[name][1]}
    warned = {name for name, usd in spent.items() if usd > of[name][0]} | unpriced | failed
    if not warned:
        return Outcome(
            is_passed=True,
            summary="The bursts of cold starts are within their limits."
            if rows
            else "No deployment started replicas in bursts.",
            severity="warn",
        )
    shown = [row for row in rows if row[0] in warned]
    waited = sum(row[4] for row in shown)
    worst = sorted(warned, key=lambda name: (name not in failed, -spent[name], name))
    return Outcome(
        is_passed=False,
        severity="error" if failed else "warn",
        failed_count=len(shown),
        failed_ids=[
            f"{name} {onset:%Y-%m-%d %H:%M}: {count} starts ({cause})"
            for name, onset, count, _, _, cause in shown
        ],
        summary=f"{len(shown)} bursts of cold starts cost ${sum(spent[name] for name in warned):,.2f} and held up "
        f"{waited:,} requests: {', '.join(worst)}.",
    )


def _limits(settings: Settings) -> ColdStartSettings:
    return settings.cold_starts


CHECK = DomainCheck(
    name="cold_start_bursts",
    table="mart.cold_start_bursts",
    grain="daily",
    description="no deployment starts replicas in bursts",
    judge=judge,
    limits=_limits,
)
