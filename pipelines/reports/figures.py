"""The figures of one business day, by a few queries over the marts: groups folded to the largest and one rest.

Not here: words, plots, HTML. Sums are made by SQL on exact decimals, so the rows of a table sum to its total.
"""

from datetime import date, datetime, timedelta
from typing import Any

import duckdb

from models.schemas.vocabulary import POOL_PARTS, UNALLOCATED

Row = dict[str, Any]
Rows = list[Row]

GROUPS_AT_MOST = 12
"""Rows of a table before the rest is folded into one."""
FIXES_AT_MOST = 10
WORST_AT_MOST = 10
NOT_KNOWN = "(not known)"
BIN_SECONDS = 600

_COUNTS = (
    "request_count", "attempt_count", "error_count", "gateway_cache_hit_count", "unpriced_count",
    "input_tokens", "output_tokens", "total_tokens", "unpriced_tokens", "priced_input_tokens", "priced_output_tokens",
)  # fmt: skip
_DOLLARS = (
    "usage_usd", "available_usd", "input_usd", "output_usd", "estimated_usd", "saved_usd", "fallback_premium_usd",
)  # fmt: skip
_OVERHEAD = tuple(part for part in POOL_PARTS if part != "serving")
_SUMS = ", ".join(
    [f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _COUNTS]
    + [f"sum({name}) AS {name}" for name in _DOLLARS]
)

_COST_PER_TOKEN = f"""
WITH cells AS (
  SELECT coalesce(route, '{NOT_KNOWN}') AS route,
    CASE WHEN route = '{UNALLOCATED}' THEN route ELSE coalesce(model, '{NOT_KNOWN}') END AS model,
    CASE WHEN route = '{UNALLOCATED}' THEN route ELSE coalesce(chip, '{NOT_KNOWN}') END AS chip,
    is_provisional, {", ".join(_COUNTS + _DOLLARS)}
  FROM mart.cost_per_token_daily WHERE accrued_on = $on
),
grouped AS (
  SELECT CASE grouping(model, route, chip) WHEN 3 THEN 'model' WHEN 5 THEN 'route' WHEN 6 THEN 'chip' ELSE 'total' END
      AS dimension,
    coalesce(model, route, chip) AS name, bool_or(is_provisional) AS is_provisional, {_SUMS}
  FROM cells GROUP BY GROUPING SETS ((model), (route), (chip), ())
),
ranked AS (
  SELECT *, count(*) OVER (PARTITION BY dimension) AS group_count,
    row_number() OVER (
      PARTITION BY dimension
      ORDER BY name = '{UNALLOCATED}', available_usd DESC NULLS LAST, total_tokens DESC, name
    ) AS place
  FROM grouped
)
SELECT dimension,
  CASE WHEN place > $top AND group_count > $top + 1 AND name <> '{UNALLOCATED}' THEN NULL ELSE name END AS name,
  count(*) AS member_count, bool_or(is_provisional) AS is_provisional, {_SUMS}
FROM ranked GROUP BY 1, 2
ORDER BY dimension, min(place)
"""

_SPEND_BY_DAY = f"""
WITH lines AS (
  SELECT accrued_on AS spent_on, coalesce(provider, '{NOT_KNOWN}') AS provider, true AS is_mart, available_usd AS usd,
    usage_usd, total_tokens, unpriced_tokens, attempt_count, unpriced_count
  FROM mart.cost_per_token_daily WHERE accrued_on BETWEEN $first AND $on
  UNION ALL BY NAME
  SELECT accrued_on AS spent_on, coalesce(provider, '{NOT_KNOWN}') AS provider, false AS is_mart, effective_usd AS usd,
    effective_usd AS other_charges_usd
  FROM core.other_charges WHERE accrued_on BETWEEN $first AND $on
  UNION ALL BY NAME
  SELECT booked_on AS spent_on, '(corrections)' AS provider, false AS is_mart, difference_usd AS usd,
    difference_usd AS corrections_usd
  FROM core.adjustments WHERE booked_on BETWEEN $first AND $on
)
SELECT spent_on, provider, bool_or(is_mart) AS is_loaded, sum(usd) AS spend_usd, sum(usage_usd) AS usage_usd,
  sum(usd) FILTER (is_mart) AS available_usd,
  sum(other_charges_usd) AS other_charges_usd, sum(corrections_usd) AS corrections_usd,
  CAST(sum(total_tokens) AS BIGINT) AS total_tokens, CAST(sum(unpriced_tokens) AS BIGINT) AS unpriced_tokens,
  CAST(sum(attempt_count) AS BIGINT) AS attempt_count, CAST(sum(unpriced_count) AS BIGINT) AS unpriced_count
FROM lines GROUP BY GROUPING SETS ((spent_on, provider), (spent_on))
ORDER BY spent_on, provider
"""

_POOLS = f"""
SELECT count(*) AS pool_hour_count, count(*) FILTER (billed_usd IS NULL) AS unpriced_hour_count,
  sum(billed_gpu_seconds) FILTER (billed_usd IS NULL) AS unpriced_gpu_seconds,
  sum(billed_usd) AS billed_usd, sum(serving_usd) AS serving_usd,
  {", ".join(f"sum({part}_usd) AS {part}_usd" for part in _OVERHEAD)},
  sum(billed_gpu_seconds) AS billed_gpu_seconds,
  {", ".join(f"sum({part}_gpu_seconds) AS {part}_gpu_seconds" for part in _OVERHEAD)}
FROM core.pool_hours WHERE accrued_on = $on
"""

_UNPRICED = f"""
SELECT coalesce(provider, '{NOT_KNOWN}') AS provider, coalesce(model, '{NOT_KNOWN}') AS model,
  CAST(sum(unpriced_count) AS BIGINT) AS unpriced_count, CAST(sum(unpriced_tokens) AS BIGINT) AS unpriced_tokens,
  sum(estimated_usd) AS estimated_usd
FROM mart.cost_per_token_daily WHERE accrued_on = $on AND unpriced_count > 0
GROUP BY ALL ORDER BY unpriced_tokens DESC, provider, model
"""

_REGRET = """
SELECT kind, CAST(sum(attempt_count) AS BIGINT) AS attempt_count, sum(regret_usd) AS regret_usd,
  sum(cost_usd) AS cost_usd
FROM mart.routing_regret_daily WHERE accrued_on = $on
GROUP BY kind ORDER BY kind = 'not_evaluated', regret_usd DESC NULLS LAST, kind
"""

_FIXES = f"""
WITH fixes AS (
  SELECT coalesce(route, '{NOT_KNOWN}') AS route, kind, clause, provider, region, model,
    alternative_provider, alternative_region, alternative_model,
    count(*) AS attempt_count, sum(cost_usd) AS cost_usd, sum(regret_usd) AS regret_usd
  FROM mart.routing_mistakes WHERE accrued_on = $on GROUP BY ALL
),
ranked AS (
  SELECT *, count(*) OVER () AS fix_count, row_number() OVER (
    ORDER BY regret_usd DESC NULLS LAST, attempt_count DESC, route, kind, clause, provider, region, model,
      alternative_provider, alternative_region, alternative_model
  ) AS place
  FROM fixes
)
SELECT CASE WHEN place > $top AND fix_count > $top + 1 THEN $top + 1 ELSE place END AS place, count(*) AS member_count,
  any_value(route) AS route, any_value(kind) AS kind, any_value(clause) AS clause, any_value(provider) AS provider,
  any_value(region) AS region, any_value(model) AS model, any_value(alternative_provider) AS alternative_provider,
  any_value(alternative_region) AS alternative_region, any_value(alternative_model) AS alternative_model,
  CAST(sum(attempt_count) AS BIGINT) AS attempt_count, sum(cost_usd) AS cost_usd, sum(regret_usd) AS regret_usd
FROM ranked GROUP BY 1 ORDER BY 1
"""

_WORST = """
SELECT request_id, started_at, route, kind, also_kinds, clause, provider, region, model, cost_usd,
  alternative_provider, alternative_region, alternative_model, alternative_usd, regret_usd, confidence_ratio, evidence
FROM mart.routing_mistakes WHERE accrued_on = $on
ORDER BY regret_usd DESC NULLS LAST, cost_usd DESC NULLS LAST, started_at, source, request_id LIMIT $top
"""

_START_SUMS = """count(*) AS start_count, count(*) FILTER (outcome = 'failed') AS failed_count,
    count(*) FILTER (is_inferred) AS inferred_count,
    count(*) FILTER (start_usd IS NULL AND outcome = 'ready' AND NOT is_inferred) AS unpriced_count,
    sum(total_seconds) FILTER (outcome = 'ready') AS ready_seconds,
    count(total_seconds) FILTER (outcome = 'ready') AS ready_count, sum(start_usd) AS start_usd,
    sum(estimated_usd) AS estimated_usd, CAST(sum(delayed_request_count) AS BIGINT) AS delayed_request_count,
    sum(added_seconds) AS added_seconds"""
_STARTS = f"""
WITH ranked AS (
  SELECT deployment, dense_rank() OVER (ORDER BY count(*) DESC, deployment) AS place,
    count(*) OVER () AS deployment_count
  FROM mart.cold_starts WHERE started_on = $on GROUP BY deployment
),
named AS (
  SELECT *, CASE WHEN place <= $top OR deployment_count <= $top + 1 THEN deployment END AS shown
  FROM mart.cold_starts JOIN ranked USING (deployment) WHERE started_on = $on
)
SELECT * RENAME (shown AS deployment)
FROM (
  SELECT grouping(shown) = 1 AS is_total, shown, count(DISTINCT deployment) AS member_count, {_START_SUMS}
  FROM named GROUP BY GROUPING SETS ((shown), ())
)
ORDER BY is_total, shown IS NULL, start_count DESC, shown
"""

_START_BINS = f"""
SELECT deployment,
  CAST((epoch(requested_at) - epoch(CAST($starts_at AS TIMESTAMPTZ))) // {BIN_SECONDS} AS BIGINT) AS bin,
  count(*) AS start_count
FROM mart.cold_starts WHERE started_on = $on GROUP BY ALL ORDER BY ALL
"""

_BURSTS = """
SELECT burst_id, provider, region, chip, deployment, onset_at, ended_at, start_count, expected_count, burst_usd,
  delayed_request_count, added_seconds, cause, evidence, cure_replica_count, cure_usd_per_day, is_history_short
FROM mart.cold_start_bursts WHERE started_on = $on ORDER BY burst_usd DESC NULLS LAST, onset_at, burst_id
"""

_COVERAGE_COUNTS = (
    "attempt_count", "priced_count", "free_count", "unpriced_count", "unpriced_tokens", "provider_usage_count",
    "estimated_usage_count", "missing_usage_count", "duplicate_count", "quarantined_count", "late_count",
)  # fmt: skip
_COVERAGE = f"""
SELECT grouping(source) = 1 AS is_total, source,
  {", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _COVERAGE_COUNTS)},
  sum(unpriced_estimated_usd) AS unpriced_estimated_usd
FROM ops.coverage WHERE accrued_on = $on GROUP BY GROUPING SETS ((source), ()) ORDER BY is_total, source
"""

# A result counts for the day while no later one of the same check looked at all of what it says about the day.
_CHECKS = """
WITH bounds AS (
  SELECT * EXCLUDE (partition_from, partition_to),
    partition_from, partition_to, partition_from LIKE '%T%' AS is_hourly,
    CASE WHEN partition_from LIKE '%T%' THEN $starts_hour ELSE $on_text END AS day_from,
    CASE WHEN partition_from LIKE '%T%' THEN $ends_hour ELSE $next_text END AS day_to
  FROM ops.check_results
),
of_day AS (
  SELECT *, greatest(coalesce(partition_from, ''), day_from) AS shown_from,
    least(coalesce(partition_to, '~'), day_to) AS shown_to
  FROM bounds
  WHERE coalesce(partition_from, '') < day_to AND coalesce(partition_to, '~') > day_from
),
latest AS (
  SELECT * FROM of_day AS mine
  WHERE NOT EXISTS (
    SELECT 1 FROM of_day AS later
    WHERE later.check_name = mine.check_name AND later.table_name = mine.table_name
      AND later.shown_from <= mine.shown_from AND later.shown_to >= mine.shown_to
      AND (later.checked_at, later.run_id) > (mine.checked_at, mine.run_id)
  )
)
SELECT check_name, table_name, bool_and(is_passed) AS is_passed,
  coalesce(bool_or(severity = 'error') FILTER (NOT is_passed), false) AS is_error,
  count(*) AS result_count, count(*) FILTER (NOT is_passed) AS failed_result_count,
  CAST(sum(failed_count) FILTER (NOT is_passed) AS BIGINT) AS failed_count,
  arg_max(summary, (failed_count, checked_at)) FILTER (NOT is_passed) AS summary,
  min(partition_from) FILTER (NOT is_passed AND (partition_from < day_from OR partition_to > day_to)) AS wider_from,
  max(partition_to) FILTER (NOT is_passed AND (partition_from < day_from OR partition_to > day_to)) AS wider_to
FROM latest GROUP BY check_name, table_name
ORDER BY is_passed, is_error DESC, check_name, table_name
"""

_CLOSED = "SELECT period FROM ops.closed_periods WHERE closed_from <= $on AND closed_to > $on"


def figures(
    con: duckdb.DuckDBPyConnection, *, on: date, first: date, starts_at: datetime, ends_at: datetime
) -> dict[str, Rows]:
    """Read everything that the daily report says.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        on: business day.
        first: first business day of the plot of spend by day; at least a week before `on`.
        starts_at: when the business day starts, UTC.
        ends_at: when it ends, UTC, exclusive.

    Returns:
        Rows by name: cost_per_token, spend_by_day, pools, unpriced, regret, fixes, worst, starts, start_bins,
        bursts, coverage, checks, closed.
    """
    day = {"on": on}
    hour = "%Y-%m-%dT%H:%MZ"
    checked = {
        "on_text": on.isoformat(),
        "next_text": (on + timedelta(days=1)).isoformat(),
        "starts_hour": starts_at.strftime(hour),
        "ends_hour": ends_at.strftime(hour),
    }
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "cost_per_token": (_COST_PER_TOKEN, day | {"top": GROUPS_AT_MOST}),
        "spend_by_day": (_SPEND_BY_DAY, day | {"first": first}),
        "pools": (_POOLS, day),
        "unpriced": (_UNPRICED, day),
        "regret": (_REGRET, day),
        "fixes": (_FIXES, day | {"top": FIXES_AT_MOST}),
        "worst": (_WORST, day | {"top": WORST_AT_MOST}),
        "starts": (_STARTS, day | {"top": GROUPS_AT_MOST}),
        "start_bins": (_START_BINS, day | {"starts_at": starts_at}),
        "bursts": (_BURSTS, day),
        "coverage": (_COVERAGE, day),
        "checks": (_CHECKS, checked),
        "closed": (_CLOSED, day),
    }
    # In one transaction the figures are of one instant, also while a run writes.
    con.begin()
    try:
        return {name: _rows(con, query, parameters) for name, (query, parameters) in asked.items()}
    finally:
        con.rollback()


def _rows(con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> Rows:
    cursor = con.execute(query, parameters)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
