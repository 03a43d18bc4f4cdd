"""What the judge of routes reads: a day's costs with the hours around it, the owned pools, latency, past fallbacks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from models.costs.idle_minutes import idle_minutes
from models.costs.weights import SCALE, Weights
from models.periods import HOUR, floor_hour
from models.routing.attempts import COLUMNS
from models.routing.mistakes import Judgement, Surroundings, routing_mistakes
from models.routing.offers import Market, offers
from models.routing.owned import Owned, pool_offers
from models.routing.policy import EPOCH, RoutingPolicy, read_policy
from models.schemas import table
from pipelines.project import Project
from pipelines.steps.base import Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import MAY_BE_POOLED, attempts, pooled

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


def owned_pools(inputs: Inputs, day: Window, weights: Weights) -> Owned:
    """Return the pools of a day with the minutes in which they had room, measured over the trailing days."""
    on = day.from_on
    hours = replace(day, start=floor_hour(day.start), end=floor_hour(day.end - timedelta.resolution) + HOUR)
    states = inputs.rows("core.replica_states", hours.start, hours.end)
    # A fleet without replicas had no room for anything.
    running = table("core.requests").empty()
    if not states.is_empty():
        running = pooled(inputs, attempts(inputs, hours, where=MAY_BE_POOLED))[0]
    idle = idle_minutes(
        states.lazy(),
        running.lazy(),
        time_zone=day.time_zone,
        from_hour=hours.start,
        to_hour=hours.end,
    ).filter(pl.col("minute").is_between(day.start, day.end, closed="left"))
    measured = inputs.query(_MEASURED, {"on": on, "trailing_on": on - TRAILING})
    at = datetime(on.year, on.month, on.day, tzinfo=UTC)
    found = [weights.of(model, chip, at) for model, chip in measured.select("model", "chip").iter_rows()]
    of_token = {
        f"{side}_weight": pl.Series([getattr(each, side) / SCALE for each in found], dtype=pl.Float64)
        for side in ("input", "output")
    }
    return Owned(idle=idle, measured=measured.with_columns(**of_token))


def market_of(inputs: Inputs, day: Window, *, weights: Weights) -> Market:
    """Return what could be had on a day: every offer of the price book, and the owned pools."""
    offered = offers(inputs.whole("ref.token_prices"), inputs.whole("ref.models"), as_known_at=day.now)
    return Market(offered + pool_offers(owned_pools(inputs, day, weights), valid_from=EPOCH))


def measured_latency(inputs: Inputs, day: Window) -> pl.DataFrame:
    """Return the median latency of every place on a business day."""
    return inputs.query(_LATENCY, {"on": day.from_on, **day.span})


def judge_days(inputs: Inputs, window: Window, *, policy: RoutingPolicy, weights: Weights) -> list[Judgement]:
    """Judge the attempts of each business day of a window by itself, so that memory is bounded by a day."""
    book, models = inputs.whole("ref.token_prices"), inputs.whole("ref.models")
    market = Market(offers(book, models, as_known_at=window.now))
    judged = []
    for on in window.days:
        day = Window.of_days(on, on + timedelta(days=1), now=window.now, time_zone=window.time_zone)
        around = {"early": day.start - HOUR, "late": day.end + HOUR}
        judged.append(
            routing_mistakes(
                inputs.query(_COSTS, around).lazy(),
                policy=policy,
                book=book.lazy(),
                models=models.lazy(),
                as_known_at=window.now,
                from_on=on,
                to_on=day.to_on,
                surroundings=Surroundings(
                    owned=owned_pools(inputs, day, weights),
                    latency=measured_latency(inputs, day),
                    fallback_history=inputs.query(_FALLBACKS, {"on": on, "trailing_on": on - TRAILING}),
                    links=inputs.query(_LINKS, around),
                ),
                market=market,
            )
        )
    return judged
