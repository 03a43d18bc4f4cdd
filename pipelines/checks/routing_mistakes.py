"""Requests took the route that the policy asks for; the regret of those that did not is in dollars."""

from datetime import timedelta
from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

WARN_ABOVE_USD = Decimal("0.01")
"""Regret of a route and day above which the check warns, where its clause says nothing."""
FAIL_ABOVE_RATIO = 0.02
"""Share of the spend of a route and day lost to regret above which the check fails, where its clause says nothing."""
FAIL_AT_LEAST_USD = Decimal(1)
"""Regret below this fails no check by its share alone."""
NEW_AFTER = timedelta(days=7)
"""A kind that a route has not shown for so long is new."""

_ROUTES = """
WITH regret AS (
  SELECT accrued_on, route, sum(regret_usd) AS regret_usd, sum(attempt_count) AS attempt_count,
         list(kind ORDER BY kind) AS kinds,
         count(*) FILTER (kind IN ('policy_violation', 'wrong_region')) > 0 AS has_broken_rules
  FROM mart.routing_regret_daily
  WHERE accrued_on >= $start AND accrued_on < $end AND kind <> 'not_evaluated' GROUP BY ALL
),
spend AS (
  SELECT accrued_on, route, sum(effective_usd) AS spend_usd FROM core.request_costs
  WHERE accrued_on >= $start AND accrued_on < $end GROUP BY ALL
),
limits AS (
  SELECT DISTINCT ON (regret.accrued_on, regret.route) regret.accrued_on, regret.route,
         warn_above_usd, fail_above_usd, fail_above_ratio
  FROM regret JOIN ref.routing_policy p ON (p.route IS NULL OR p.route = regret.route)
  WHERE p.task_class IS NULL AND p.tenant IS NULL AND p.valid_from <= regret.accrued_on
    AND (p.valid_to IS NULL OR p.valid_to > regret.accrued_on)
  ORDER BY regret.accrued_on, regret.route, p.route IS NULL, p.policy_line IS NULL, p.clause = 'default'
)
SELECT regret.accrued_on, regret.route, coalesce(regret_usd, 0), coalesce(spend_usd, 0), attempt_count, kinds,
       has_broken_rules, coalesce(warn_above_usd, $warn), fail_above_usd, coalesce(fail_above_ratio, $ratio)
FROM regret
LEFT JOIN spend ON spend.accrued_on = regret.accrued_on AND spend.route IS NOT DISTINCT FROM regret.route
LEFT JOIN limits ON limits.accrued_on = regret.accrued_on AND limits.route IS NOT DISTINCT FROM regret.route
ORDER BY 3 DESC, 1, 2
"""
_NEW = """
WITH seen AS (
  SELECT DISTINCT route, kind FROM mart.routing_regret_daily WHERE accrued_on >= $earlier AND accrued_on < $start
),
known AS (SELECT DISTINCT route FROM mart.routing_coverage_daily WHERE accrued_on >= $earlier AND accrued_on < $start)
SELECT DISTINCT now.route, now.kind FROM mart.routing_regret_daily now
SEMI JOIN known ON known.route IS NOT DISTINCT FROM now.route
ANTI JOIN seen ON seen.route IS NOT DISTINCT FROM now.route AND seen.kind = now.kind
WHERE now.accrued_on >= $start AND now.accrued_on < $end AND now.kind <> 'not_evaluated'
ORDER BY 1, 2
"""
_KINDS = """
SELECT kind, sum(attempt_count)::BIGINT FROM mart.routing_regret_daily
WHERE accrued_on >= $start AND accrued_on < $end AND kind <> 'not_evaluated'
GROUP BY kind ORDER BY sum(regret_usd) DESC NULLS LAST, kind
"""
_SPEND = """
SELECT coalesce(sum(effective_usd), 0) FROM core.request_costs WHERE accrued_on >= $start AND accrued_on < $end
"""
_WORST = """
SELECT concat_ws(' ', request_id, kind, route, coalesce('$' || regret_usd::VARCHAR, 'no price'))
FROM mart.routing_mistakes WHERE accrued_on >= $start AND accrued_on < $end
ORDER BY regret_usd DESC NULLS LAST, request_id LIMIT 10
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    span = {"start": start, "end": end}
    routes = con.execute(_ROUTES, span | {"warn": WARN_ABOVE_USD, "ratio": FAIL_ABOVE_RATIO}).fetchall()
    if not routes:
        return Outcome(is_passed=True, summary="No routing mistake was found.", severity="warn")
    failed, warned = [], []
    for on, route, regret, spend, _count, _kinds, has_broken_rules, warn, fail, ratio in routes:
        name = f"{route or '(no route)'} on {on} (${regret:,.2f} of ${spend:,.2f})"
        share = float(regret / spend) if spend else 0.0
        if (fail is not None and regret > fail) or (share > ratio and regret >= FAIL_AT_LEAST_USD):
            failed.append(name)
        elif regret > warn or has_broken_rules:
            warned.append(name)
    new = [
        f"{kind} on {route or '(no route)'}"
        for route, kind in con.execute(_NEW, span | {"earlier": start - NEW_AFTER}).fetchall()
    ]
    regret, spend = sum(row[2] for row in routes), con.execute(_SPEND, span).fetchall()[0][0]
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in con.execute(_KINDS, span).fetchall())
    parts = [
        f"Routing mistakes cost ${regret:,.2f} ({float(regret / spend) if spend else 0:.2%} of spend): {kinds}"
    ]
    parts += [
        f"{word} {', '.join(names[:3])}" for word, names in (("failing", failed), ("new", new)) if names
    ]
    worst_on = max(routes, key=lambda row: row[2])[0]
    parts.append(f"the fixes are in reports/daily/{worst_on}.html")
    return Outcome(
        is_passed=not (failed or warned or new),
        severity="error" if failed else "warn",
        failed_count=sum(row[4] for row in routes),
        failed_ids=[row[0] for row in con.execute(_WORST, span).fetchall()],
        summary="; ".join(parts) + ".",
    )


CHECK = DomainCheck(
    name="routing_mistakes",
    table="mart.routing_mistakes",
    grain="daily",
    description="each attempt took an eligible route, and none that was dearer than an eligible one",
    judge=_judge,
)
