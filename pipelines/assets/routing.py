"""What the judge of routes reads: a day's costs with the hours around it, the owned pools, latency, past fallbacks."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl

from models.costs.idle_minutes import idle_minutes
from models.costs.weights import SCALE, Weights
from models.periods import HOUR, business_day_bounds, floor_hour
from models.routing.attempts import COLUMNS
from models.routing.mistakes import Judgement, Surroundings, routing_mistakes
from models.routing.offers import Market, offers
from models.routing.owned import Owned, pool_offers
from models.routing.policy import EPOCH, RoutingPolicy, read_policy
from pipelines.assets.core import MAY_BE_POOLED, attempts, pooled, stored_states
from pipelines.project import Project
from pipelines.warehouse.resource import frame

TRAILING = timedelta(days=7)
"""Days that make a pool's measured speed and rate, and a route's base rate of fallbacks."""

_COSTS = f"""
SELECT {", ".join(COLUMNS)} FROM core.request_costs WHERE accrued_hour >= $early AND accrued_hour < $late
"""
_LINKS = """
SELECT source, request_id, finished_at, retry_of FROM core.requests
WHERE started_at >= $early AND started_at < $late AND (logical_request_id IS NOT NULL OR request_id IN (
  SELECT logical_request_id FROM core.requests WHERE started_at >= $early AND started_at < $late))
"""
_MEASURED = """
WITH worked AS (
  SELECT provider, region, chip, deployment, commitment, sum(allocation_weight) AS allocation_weight
  FROM core.request_costs WHERE cost_basis = 'gpu' AND accrued_on > $trailing_on AND accrued_on <= $on GROUP BY ALL
),
pools AS (
  SELECT provider, region, chip, deployment, commitment,
    CASE WHEN count(DISTINCT model) = 1 THEN min(model) END AS model,
    sum(billed_usd) AS billed_usd, sum(serving_usd) AS serving_usd,
    sum(serving_gpu_seconds) AS serving_gpu_seconds, any_value(allocation_weight) AS allocation_weight
  FROM core.pool_hours JOIN worked USING (provider, region, chip, deployment, commitment)
  WHERE accrued_on > $trailing_on AND accrued_on <= $on
  GROUP BY ALL
)
SELECT pools.*, model_family FROM pools LEFT JOIN ref.model_families f ON f.name = lower(model)
"""
_LATENCY = """
WITH names AS (
  SELECT DISTINCT provider, coalesce(served_model, routed_model, requested_model) AS name, model
  FROM core.request_costs WHERE accrued_on = $on
)
SELECT r.provider, n.model, count(*) AS attempt_count,
       median(epoch(r.first_token_at - r.started_at)) AS first_token_seconds,
       median(epoch(r.finished_at - coalesce(r.first_token_at, r.started_at))
              / (coalesce(r.output_text_tokens, 0) + coalesce(r.reasoning_tokens, 0))) AS seconds_per_output_token
FROM core.requests r
JOIN names n ON n.provider = r.provider AND n.name = coalesce(r.served_model, r.routed_model, r.requested_model)
WHERE r.started_at >= $start AND r.started_at < $end AND r.status = 'ok' AND NOT r.is_gateway_cache_hit
  AND r.finished_at IS NOT NULL AND coalesce(r.output_text_tokens, 0) + coalesce(r.reasoning_tokens, 0) > 0
GROUP BY ALL
"""
_FALLBACKS = """
SELECT route, time_bucket(INTERVAL 5 MINUTE, started_at) AS started_at, count(*) AS attempt_count,
       count(*) FILTER (is_fallback) AS fallback_count
FROM core.request_costs
WHERE accrued_on >= $trailing_on AND accrued_on < $on AND is_first_accrual AND (attempt_no IS NULL OR attempt_no > 0)
GROUP BY ALL
"""


def project_policy(project: Project, *, as_known_at: datetime) -> RoutingPolicy:
    """Read the project's policy and quality scores.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    return read_policy(
        project.policy_text(),
        path=project.policy_path,
        quality_text=project.quality_text(),
        quality_path=project.quality_path,
        as_known_at=as_known_at,
    )


def owned_pools(con: duckdb.DuckDBPyConnection, on: date, weights: Weights, *, time_zone: str) -> Owned:
    """Return the pools of a day with the minutes in which they had room, measured over the trailing days."""
    start, end = business_day_bounds(on, time_zone=time_zone)
    from_hour, to_hour = floor_hour(start), floor_hour(end - timedelta.resolution) + HOUR
    idle = idle_minutes(
        stored_states(con, from_hour, to_hour).lazy(),
        pooled(con, attempts(con, from_hour, to_hour, where=MAY_BE_POOLED))[0].lazy(),
        time_zone=time_zone,
        from_hour=from_hour,
        to_hour=to_hour,
    ).filter(pl.col("minute").is_between(start, end, closed="left"))
    days = {"on": on, "trailing_on": on - TRAILING}
    measured = frame(con, _MEASURED, days)
    at = datetime(on.year, on.month, on.day, tzinfo=UTC)
    found = [weights.of(model, chip, at) for model, chip in measured.select("model", "chip").iter_rows()]
    of_token = {
        f"{side}_weight": pl.Series([getattr(each, side) / SCALE for each in found], dtype=pl.Float64)
        for side in ("input", "output")
    }
    return Owned(idle=idle, measured=measured.with_columns(**of_token))


def market_of(
    con: duckdb.DuckDBPyConnection, on: date, *, weights: Weights, as_known_at: datetime, time_zone: str
) -> Market:
    """Return what could be had on a day: every offer of the price book, and the owned pools."""
    offered = offers(
        frame(con, "FROM ref.token_prices"), frame(con, "FROM ref.models"), as_known_at=as_known_at
    )
    return Market(offered + pool_offers(owned_pools(con, on, weights, time_zone=time_zone), valid_from=EPOCH))


def measured_latency(
    con: duckdb.DuckDBPyConnection, on: date, start: datetime, end: datetime
) -> pl.DataFrame:
    """Return the median latency of every place on a day."""
    return frame(con, _LATENCY, {"on": on, "start": start, "end": end})


def judge_day(
    con: duckdb.DuckDBPyConnection,
    on: date,
    *,
    time_zone: str,
    policy: RoutingPolicy,
    weights: Weights,
    as_known_at: datetime,
) -> Judgement:
    """Judge the attempts of one business day."""
    start, end = business_day_bounds(on, time_zone=time_zone)
    return routing_mistakes(
        frame(con, _COSTS, {"early": start - HOUR, "late": end + HOUR}).lazy(),
        policy=policy,
        book=frame(con, "FROM ref.token_prices").lazy(),
        models=frame(con, "FROM ref.models").lazy(),
        as_known_at=as_known_at,
        from_on=on,
        to_on=on + timedelta(days=1),
        surroundings=Surroundings(
            owned=owned_pools(con, on, weights, time_zone=time_zone),
            latency=measured_latency(con, on, start, end),
            fallback_history=frame(con, _FALLBACKS, {"on": on, "trailing_on": on - TRAILING}),
            links=frame(con, _LINKS, {"early": start - HOUR, "late": end + HOUR}),
        ),
    )


def judge_days(
    con: duckdb.DuckDBPyConnection,
    days: list[date],
    *,
    time_zone: str,
    policy: RoutingPolicy,
    weights: Weights,
    as_known_at: datetime,
) -> Judgement:
    """Judge several days, one at a time, so that memory is bounded by a day."""
    judged = [
        judge_day(con, on, time_zone=time_zone, policy=policy, weights=weights, as_known_at=as_known_at)
        for on in days
    ]
    return Judgement(*(pl.concat(parts) for parts in zip(*judged, strict=True)))
