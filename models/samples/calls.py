"""One day of the gateway's calls as a frame, with retries, fallbacks and routing mistakes planted.

Not how a log spells them (litellm_rows, otel_rows).
"""

from datetime import date

import numpy as np
import polars as pl

from models.samples.lanes import LANES, MISTAKES, SHAPES, TENANT_SHARES, TENANTS
from models.samples.traffic import Floats, Ints, call_times, generator, instants, lengths, uuids

RETRY_SHARE = 0.01
FALLBACK_SHARE = 0.006
GATEWAY_CACHE_SHARE = 0.004
SDK_SHARE = 0.15
RATE_LIMITED_SHARE = 0.6
"""Of the calls that fell back, how many met a rate limit; the others met an outage."""
CALLS_PER_SESSION = 5
PLANTED_SHARE = 0.0006
PLANTED_AT_MOST = 20
"""Routing mistakes of each kind a day: a share of the calls, at least one, and no more than this."""
_FEWEST_CALLS = 10
"""A day with fewer calls has no planted mistake."""
_ORDINARY, _RETRIED, _FELL_BACK, _CACHE_HIT = range(4)


def lane_columns() -> pl.DataFrame:
    """Return one row per lane: everything that a call inherits from its lane, keyed by `lane`."""
    return pl.DataFrame(
        {
            "lane": pl.Series(range(len(LANES)), dtype=pl.Int64),
            "route": [lane.route for lane in LANES],
            "task_class": [lane.task_class for lane in LANES],
            "gateway_provider": [lane.vendor.gateway for lane in LANES],
            "otel_provider": [lane.vendor.otel for lane in LANES],
            "api_base": [lane.vendor.api_base for lane in LANES],
            "model": [lane.model for lane in LANES],
            "is_embedding": [lane.shape == "embedding" for lane in LANES],
            "plant": [lane.plant for lane in LANES],
            **{f"rate_{place}": [float(lane.rates[place]) for lane in LANES] for place in range(4)},
        }
    )


def day_of_calls(day: date, *, number: int, count: int, seed: int) -> pl.DataFrame:
    """Return the attempts of a day's `count` calls, some of them planted routing mistakes, by start.

    Columns: those of `lane_columns`; `request_id`, `call_id`, `session_id`, `started_at`, `first_token_at`,
    `finished_at` (UTC); `prompt_tokens` (cached and written included), `cached_tokens`, `written_tokens`,
    `completion_tokens` (reasoning included), `reasoning_tokens`; `spend_usd` (the gateway's own estimate, never
    right about a model that it does not know or a rate that changed); `tenant`, `user_number`; `retries`,
    `retry_of`, `is_billed_retry`, `is_fallback`, `fallback_cause`, `original_route`, `error_class`,
    `is_cache_hit`, `is_seen_by_sdk`.

    Args:
        day: the UTC day.
        number: its number, so that each day has random numbers of its own.
        count: logical calls, planted mistakes included; retries and fallbacks are further attempts.
        seed: of the whole fleet.
    """
    rng = generator(seed, number, 0)
    weights = np.array([lane.weight for lane in LANES])
    planted = min(max(int(count * PLANTED_SHARE), 1), PLANTED_AT_MOST) if count >= _FEWEST_CALLS else 0
    mistakes = [place for kind in MISTAKES for place in _planted_lanes(kind, planted, number)]
    ordinary = rng.choice(len(LANES), size=count - len(mistakes), p=weights / weights.sum())
    lane = np.concatenate([ordinary, np.array(mistakes, dtype=np.int64)])
    total = len(lane)
    is_planted = np.arange(total) >= len(ordinary)
    order = rng.permutation(total)
    lane, is_planted = lane[order], is_planted[order]
    started = call_times(rng, total, day=day, until_hour=23.9)
    fate = rng.choice(
        4,
        size=total,
        p=[
            1 - RETRY_SHARE - FALLBACK_SHARE - GATEWAY_CACHE_SHARE,
            RETRY_SHARE,
            FALLBACK_SHARE,
            GATEWAY_CACHE_SHARE,
        ],
    )
    fate[is_planted] = _ORDINARY
    tenant = rng.choice(len(TENANTS), size=total, p=TENANT_SHARES)
    user = rng.integers(1, 60, size=total)
    call_id = uuids(rng, total)
    request_id = "chatcmpl-" + uuids(rng, total)
    shared = pl.DataFrame(
        {
            "call_id": call_id,
            "request_id": request_id,
            "tenant": pl.Series(TENANTS).gather(tenant),
            "user_number": user,
            "fate": fate,
        }
    )
    served = _served(rng, lane, started, is_planted, day)
    calls = pl.concat([shared, served], how="horizontal")
    return _attempts(rng, calls)


def _planted_lanes(kind: str, planted: int, number: int) -> list[int]:
    """Spread a day's mistakes of a kind over its lanes, starting with another lane each day."""
    places = [place for place, lane in enumerate(LANES) if lane.plant == kind]
    return [places[(number + turn) % len(places)] for turn in range(planted)]


def _served(
    rng: np.random.Generator, lane: Ints, started: Ints, is_alone: "np.typing.NDArray[np.bool_]", day: date
) -> pl.DataFrame:
    """Draw what each lane's model did: sessions, tokens, latency."""
    total = len(lane)
    prompt, answer = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    turn, session = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    for place in np.unique(lane):
        rows = np.flatnonzero(lane == place)
        shape = SHAPES[LANES[place].shape]
        prompt[rows] = lengths(rng, len(rows), shape.prompt, at_most=shape.prompt_at_most)
        answer[rows] = lengths(rng, len(rows), shape.answer, at_most=shape.answer_at_most)
        turn[rows] = np.arange(len(rows)) % CALLS_PER_SESSION
        session[rows] = np.arange(len(rows)) // CALLS_PER_SESSION
    turn[is_alone] = 0
    cached_share = _of_lanes([item.cached for item in LANES])[lane]
    cacheable = (prompt * cached_share * rng.uniform(0.6, 1.2, size=total)).astype(np.int64) // 64 * 64
    cacheable = np.where(is_alone, 0, np.minimum(cacheable, prompt))
    is_written = _of_lanes([item.is_cache_written for item in LANES])[lane] > 0
    reasons = _of_lanes([item.reasons for item in LANES])[lane]
    waited = _of_lanes([item.vendor.first_token_seconds for item in LANES])[lane]
    speed = _of_lanes([item.vendor.tokens_per_second for item in LANES])[lane]
    first = waited * rng.lognormal(0.0, 0.25, size=total) + prompt / 40_000
    spoken = answer / (speed * rng.lognormal(0.0, 0.15, size=total))
    return pl.DataFrame(
        {
            "lane": lane,
            "started": started,
            "first_after": (first * 1000).astype(np.int64) * 1000,
            "spoken_after": (spoken * 1000).astype(np.int64) * 1000,
            "session_number": session,
            "prompt_tokens": prompt,
            "cached_tokens": np.where(turn > 0, cacheable, 0),
            "written_tokens": np.where((turn == 0) & is_written, cacheable, 0),
            "completion_tokens": answer,
            "reasoning_tokens": (answer * reasons * rng.uniform(0.5, 1.3, size=total)).astype(np.int64),
        }
    ).with_columns(
        session_id=pl.when(pl.Series(is_alone))
        .then(pl.format("alone-" + day.strftime("%m%d") + "-{}", pl.int_range(pl.len())))
        .otherwise(pl.format("s-" + day.strftime("%m%d") + "-{}-{}", "lane", "session_number"))
    )


def _of_lanes(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _attempts(rng: np.random.Generator, calls: pl.DataFrame) -> pl.DataFrame:
    """Turn calls into attempts: a retried call has an earlier one, a call that fell back a failed one."""
    total = calls.height
    pause = pl.Series("pause", rng.integers(2_000, 20_000, size=total) * 1000)
    is_limited = pl.Series("is_limited", rng.random(total) < RATE_LIMITED_SHARE)
    is_instrumented = pl.Series("is_instrumented", rng.random(total) < SDK_SHARE)
    stamp = pl.col("started") // 1_000_000
    calls = calls.with_columns(pause, is_limited, is_instrumented).with_columns(
        retries=pl.lit(0),
        retry_of=pl.lit(None, dtype=pl.String),
        is_billed_retry=pl.lit(value=False),
        is_fallback=pl.lit(value=False),
        fallback_cause=pl.lit(None, dtype=pl.String),
        original_route=pl.lit(None, dtype=pl.String),
        error_class=pl.lit(None, dtype=pl.String),
        is_cache_hit=pl.lit(value=False),
        is_seen_by_sdk=pl.lit(value=False),
    )
    ordinary = calls.filter(pl.col("fate") == _ORDINARY).with_columns(
        is_seen_by_sdk=pl.col("is_instrumented")
    )
    hits = calls.filter(pl.col("fate") == _CACHE_HIT).with_columns(
        request_id=pl.format("{}_cache_hit{}", "request_id", stamp),
        is_cache_hit=pl.lit(value=True),
        first_after=pl.lit(8_000, dtype=pl.Int64),
        spoken_after=pl.lit(0, dtype=pl.Int64),
    )
    retried = calls.filter(pl.col("fate") == _RETRIED)
    earlier_id = pl.format("{}-attempt-0", "request_id")
    earlier = retried.with_columns(
        request_id=earlier_id,
        completion_tokens=pl.col("completion_tokens") // 3,
        reasoning_tokens=pl.col("reasoning_tokens") // 3,
        is_billed_retry=pl.lit(value=True),
        error_class=pl.lit("Timeout"),
        spoken_after=pl.col("pause"),
    )
    later = retried.with_columns(
        started=pl.col("started") + pl.col("first_after") + pl.col("pause") + 500_000,
        retries=pl.lit(1),
        retry_of=earlier_id,
    )
    fell_back = calls.filter(pl.col("fate") == _FELL_BACK)
    failed_id = uuids(rng, fell_back.height).alias("request_id")
    none = pl.lit(0, dtype=pl.Int64)
    failed = fell_back.with_columns(
        failed_id,
        error_class=pl.when("is_limited").then(pl.lit("RateLimitError")).otherwise(pl.lit("ServiceUnavailableError")),
        prompt_tokens=none,
        cached_tokens=none,
        written_tokens=none,
        completion_tokens=none,
        reasoning_tokens=none,
        spoken_after=none,
    )  # fmt: skip
    return _dated(pl.concat([ordinary, hits, earlier, later, failed, _fallbacks(fell_back)]))


def _fallbacks(fell_back: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts that the fallback lanes served; each is a session of its own."""
    routes = [lane.route for lane in LANES]
    to = {place: routes.index(f"{lane.route}-fallback") for place, lane in enumerate(LANES) if lane.weight}
    none = pl.lit(0, dtype=pl.Int64)
    return fell_back.with_columns(
        lane=pl.col("lane").replace_strict(to, return_dtype=pl.Int64),
        original_route=pl.col("lane").replace_strict(dict(enumerate(routes)), return_dtype=pl.String),
        started=pl.col("started") + pl.col("first_after") + 50_000,
        session_id=pl.format("fallback-{}", "call_id"),
        is_fallback=pl.lit(value=True),
        fallback_cause=pl.when("is_limited").then(pl.lit("rate_limit")).otherwise(pl.lit("outage")),
        completion_tokens=pl.max_horizontal("completion_tokens", pl.lit(20)),
        cached_tokens=none,
        written_tokens=none,
        reasoning_tokens=none,
    )


def _dated(attempts: pl.DataFrame) -> pl.DataFrame:
    """Add the lane's columns, instants and the gateway's estimate; sort by start."""
    attempts = attempts.join(lane_columns(), on="lane", how="left", maintain_order="left").sort(
        "started", "request_id"
    )
    first = attempts.get_column("started") + attempts.get_column("first_after")
    plain = pl.col("prompt_tokens") - pl.col("cached_tokens") - pl.col("written_tokens")
    spend = (
        plain * pl.col("rate_0")
        + pl.col("cached_tokens") * pl.col("rate_1")
        + pl.col("written_tokens") * pl.col("rate_2")
        + pl.col("completion_tokens") * pl.col("rate_3")
    ) / 1e6
    return attempts.with_columns(
        started_at=instants(attempts.get_column("started").to_numpy()),
        first_token_at=instants(first.to_numpy()),
        finished_at=instants((first + attempts.get_column("spoken_after")).to_numpy()),
        original_route=pl.coalesce("original_route", "route"),
        spend_usd=pl.when("is_cache_hit").then(0.0).otherwise(spend.round(10)),
    ).drop("started", "first_after", "spoken_after", "pause", "is_limited", "is_instrumented", "fate")
