"""What the judge of routes reads: a day's costs with the hours around it, the owned pools, latency, past fallbacks."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from models.costs.idle_minutes import idle_minutes
from models.costs.weights import SCALE, Weights
from models.periods import HOUR, floor_hour
from models.routing.attempts import COLUMNS
from models.routing.mistakes import JudgeContext, Judgement, routing_mistakes
from models.routing.offers import Market, offers
from models.routing.owned import OwnedPools, pool_offers
from models.routing.policy import EPOCH, RoutingPolicy, read_policy
from models.schemas import table
from pipelines.project import Project
from pipelines.steps.base import Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import MAY_BE_POOLED, attempts, pooled

TRAILING = timedelta(days=7)
"""Days that make a pool's measured speed and rate, and a route's base rate of fallbacks."""

_COSTS = f"""
SELECT {", ".join(COLUMNS)}, accrued_hour FROM core.request_costs
WHERE accrued_hour >= $early AND accrued_hour < $late
"""
_LINKS = """
SELECT source, request_id, finished_at, retry_of, started_at, logical_request_id FROM core.requests
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
  SELECT DISTINCT accrued_on, provider, coalesce(served_model, routed_model, requested_model) AS name, model
  FROM core.request_costs WHERE accrued_on >= $from_on AND accrued_on < $to_on
)
SELECT n.accrued_on, r.provider, n.model, count(*) AS attempt_count,
       median((epoch_us(r.first_token_at) - epoch_us(r.started_at)) / 1e6) AS first_token_seconds,
       median((epoch_us(r.finished_at) - epoch_us(coalesce(r.first_token_at, r.started_at))) / 1e6
              / (coalesce(r.output_text_tokens, 0) + coalesce(r.reasoning_tokens, 0))) AS seconds_per_output_token
FROM core.requests r
JOIN names n ON n.accrued_on = (r.started_at AT TIME ZONE $time_zone)::DATE AND n.provider = r.provider
  AND n.name = coalesce(r.served_model, r.routed_model, r.requested_model)
WHERE r.started_at >= $start AND r.started_at < $end AND r.status = 'ok' AND NOT r.is_gateway_cache_hit
  AND r.finished_at IS NOT NULL AND coalesce(r.output_text_tokens, 0) + coalesce(r.reasoning_tokens, 0) > 0
GROUP BY ALL
"""
_FALLBACKS = """
SELECT accrued_on, route, time_bucket(INTERVAL 5 MINUTE, started_at) AS started_at, count(*) AS attempt_count,
       count(*) FILTER (is_fallback) AS fallback_count
FROM core.request_costs
WHERE accrued_on >= $trailing_on AND accrued_on < $to_on AND is_first_accrual AND (attempt_no IS NULL OR attempt_no > 0)
GROUP BY ALL
"""

_COUNTS = """
SELECT accrued_on, count(*) AS attempt_count FROM core.request_costs
WHERE accrued_on >= $from_on AND accrued_on < $to_on GROUP BY ALL
"""
_HAS_POOLS = """
SELECT EXISTS (FROM core.replica_states WHERE state_hour >= $early AND state_hour < $late)
    OR EXISTS (FROM core.pool_hours WHERE accrued_on > $trailing_on AND accrued_on < $to_on)
"""
_ATTEMPTS_AT_ONCE = 200_000
"""Attempts of days that are read by one query, a day at the least."""


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


def owned_pools(inputs: Inputs, day: Window, weights: Weights) -> OwnedPools:
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
    return OwnedPools(idle=idle, measured=measured.with_columns(**of_token))


def market_of(inputs: Inputs, day: Window, *, weights: Weights) -> Market:
    """Return what could be had on a day: every offer of the price book, and the owned pools."""
    offered = offers(inputs.whole("ref.token_prices"), inputs.whole("ref.models"), as_known_at=day.now)
    return Market(offered + pool_offers(owned_pools(inputs, day, weights), valid_from=EPOCH))


def measured_latency(inputs: Inputs, day: Window) -> pl.DataFrame:
    """Return the median latency of every place on a business day."""
    return _latency_of(inputs, day).drop("accrued_on")


def _latency_of(inputs: Inputs, days: Window) -> pl.DataFrame:
    """Return the median latency of every place on each of some business days."""
    parameters = {"from_on": days.from_on, "to_on": days.to_on, "time_zone": days.time_zone, **days.span}
    return inputs.query(_LATENCY, parameters)


def judge_days(inputs: Inputs, window: Window, *, policy: RoutingPolicy, weights: Weights) -> list[Judgement]:
    """Judge the attempts of each business day of a window by itself, so that memory is bounded by a few days."""
    book, models = inputs.whole("ref.token_prices"), inputs.whole("ref.models")
    market = Market(offers(book, models, as_known_at=window.now))
    has_pools = _has_pools(inputs, window)
    no_pools = None if has_pools else owned_pools(inputs, _day(window, window.from_on), weights)
    judged = []
    for days in _groups(inputs, window):
        read = _read(inputs, days)
        for on in days.days:
            day = _day(window, on)
            judged.append(
                routing_mistakes(
                    read.costs_of(day),
                    policy=policy,
                    book=book.lazy(),
                    models=models.lazy(),
                    as_known_at=window.now,
                    from_on=on,
                    to_on=day.to_on,
                    surroundings=JudgeContext(
                        owned=no_pools or owned_pools(inputs, day, weights),
                        latency=read.latency.filter(pl.col("accrued_on") == on).drop("accrued_on"),
                        fallback_history=read.fallbacks_before(on),
                        links=read.links_of(day),
                    ),
                    market=market,
                )
            )
    return judged


@dataclass(frozen=True)
class _Days:
    """What the judge reads of a few business days: by one query each, and cut by day."""

    costs: pl.DataFrame
    links: pl.DataFrame
    latency: pl.DataFrame
    fallbacks: pl.DataFrame

    def costs_of(self, day: Window) -> pl.LazyFrame:
        """Return the costs of a day and of the hours around it."""
        return self.costs.filter(_around("accrued_hour", day)).drop("accrued_hour").lazy()

    def links_of(self, day: Window) -> pl.DataFrame:
        """Return the attempts of a day and of the hours around it that share their logical request."""
        near = self.links.filter(_around("started_at", day))
        named = pl.col("logical_request_id").drop_nulls().implode()
        is_shared = pl.col("logical_request_id").is_not_null() | pl.col("request_id").is_in(named)
        return near.filter(is_shared).drop("started_at", "logical_request_id")

    def fallbacks_before(self, on: date) -> pl.DataFrame:
        """Return what was counted in each five minutes of the days before one."""
        before = self.fallbacks.filter(pl.col("accrued_on").is_between(on - TRAILING, on, closed="left"))
        counts = pl.col("attempt_count", "fallback_count").sum()
        return before.group_by("route", "started_at", maintain_order=True).agg(counts)


def _around(column: str, day: Window) -> pl.Expr:
    return pl.col(column).is_between(day.start - HOUR, day.end + HOUR, closed="left")


def _day(window: Window, on: date) -> Window:
    return Window.of_days(on, on + timedelta(days=1), now=window.now, time_zone=window.time_zone)


def _groups(inputs: Inputs, window: Window) -> list[Window]:
    """Cut a window into groups of days with a bounded number of attempts."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    counts: dict[date, int] = dict(inputs.query(_COUNTS, days).iter_rows())
    groups: list[list[date]] = []
    room = 0
    for on in window.days:
        count = counts.get(on, 0)
        if not groups or count > room:
            groups.append([])
            room = _ATTEMPTS_AT_ONCE
        groups[-1].append(on)
        room -= count
    return [
        replace(window, start=_day(window, group[0]).start, end=_day(window, group[-1]).end)
        for group in groups
    ]


def _read(inputs: Inputs, days: Window) -> _Days:
    around = {"early": days.start - HOUR, "late": days.end + HOUR}
    return _Days(
        costs=inputs.query(_COSTS, around),
        links=inputs.query(_LINKS, around),
        latency=_latency_of(inputs, days),
        fallbacks=inputs.query(_FALLBACKS, {"to_on": days.to_on, "trailing_on": days.from_on - TRAILING}),
    )


def _has_pools(inputs: Inputs, window: Window) -> bool:
    """Return whether a replica lived in a window, or a pool was billed in it or in the days before it."""
    return bool(
        inputs.query(
            _HAS_POOLS,
            {
                "early": floor_hour(window.start),
                "late": window.end + HOUR,
                "trailing_on": window.from_on - TRAILING,
                "to_on": window.to_on,
            },
        ).item()
    )
