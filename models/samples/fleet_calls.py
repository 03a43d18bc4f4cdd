"""One day of requests to the owned GPU fleet: each on a replica that is ready, or waiting for one that starts."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from models.samples.deployments import DEPLOYMENTS, FLEET_SHAPES
from models.samples.lanes import TENANT_SHARES, TENANTS
from models.samples.replicas import SECOND, Life
from models.samples.traffic import (
    MICROSECONDS_PER_HOUR,
    Floats,
    Ints,
    generator,
    instants,
    lengths,
    load_of,
    microseconds_of,
    midnight,
    uuids,
)

CANCELLED_SHARE = 0.004
WARM_SHARE = 0.7
"""Of the requests to a deployment with a prefix cache, how many find their prefix in it."""
_LAST_HOUR = 23.85
_NEVER = 2**62
_PREFILL_TOKENS_PER_SECOND = 12_000


def day_of_fleet_calls(lives: list[Life], day: date, *, number: int, count: int, seed: int) -> pl.DataFrame:
    """Return a day's `count` requests as the generic format has them, by start; instants are datetimes in UTC.

    A request that comes while no replica is ready waits for the first that will be (`queue_seconds`); one on a
    replica that fails ends with it. Deployments that are down all day get none.

    Args:
        lives: of all replicas, any period that covers the day.
        day: the UTC day.
        number: its number, so that each day has random numbers of its own.
        count: requests, at least 1.
        seed: of the whole fleet.
    """
    rng = generator(seed, number, 2)
    epochs = [
        _epochs([life for life in lives if life.deployment == place], day)
        for place in range(len(DEPLOYMENTS))
    ]
    weights = np.array(
        [item.weight if epoch.weight.any() else 0.0 for item, epoch in zip(DEPLOYMENTS, epochs, strict=True)]
    )
    shares = rng.multinomial(count, weights / weights.sum())
    parts = [_requests(rng, place, epochs[place], int(share)) for place, share in enumerate(shares) if share]
    calls = pl.concat(parts).sort("started", "replica_id")
    tenants = pl.Series(TENANTS).gather(rng.choice(len(TENANTS), size=count, p=TENANT_SHARES))
    users = pl.Series(rng.integers(1, 60, size=count))
    is_cancelled = pl.Series(rng.random(count) < CANCELLED_SHARE)
    return _dated(
        calls.with_columns(request_id="fleet-" + uuids(rng, count), tenant=tenants), users, is_cancelled
    )


@dataclass(frozen=True)
class _Epochs:
    """Spans of a deployment's day in which the same replicas are ready: arrays with one entry per span.

    `members` lists, first in each row, the places in `lives` of the replicas that take requests, `sizes` how many.
    """

    lives: list[Life]
    starts: Ints
    ends: Ints
    weight: Floats
    members: Ints
    sizes: Ints


def _until(life: Life) -> int:
    return min(at for at in (life.draining, life.failed, _NEVER) if at is not None)


def _epochs(lives: list[Life], day: date) -> _Epochs:
    begins = microseconds_of(midnight(day))
    last = begins + int(_LAST_HOUR * MICROSECONDS_PER_HOUR)
    lives = [
        life for life in lives if life.ready is not None and life.requested < last and _until(life) > begins
    ]
    asked = np.array([life.requested for life in lives], dtype=np.int64)
    ready = np.array([life.ready for life in lives], dtype=np.int64)
    until = np.array([_until(life) for life in lives], dtype=np.int64)
    boost = np.array([life.boost for life in lives], dtype=np.float64)
    hours = begins + np.arange(25, dtype=np.int64) * MICROSECONDS_PER_HOUR
    edges = np.unique(np.clip(np.concatenate([hours, asked, ready, until]), begins, last))
    starts, ends = edges[:-1], edges[1:]
    at = starts[:, None]
    takes = (ready <= at) & (at < until)
    is_cold = ~takes.any(axis=1)
    # Where none is ready, the one that will be first takes the requests.
    coming = np.where((asked <= at) & (at < ready), ready, _NEVER)
    if lives:
        first = coming.argmin(axis=1)
        takes[np.arange(len(starts)), first] |= is_cold & (coming.min(axis=1) < _NEVER)
    hour = (starts - begins) // MICROSECONDS_PER_HOUR
    load = np.array([load_of(day, int(of_day)) for of_day in hour])
    strongest = np.where(takes, boost, 0.0).max(axis=1, initial=0.0)
    return _Epochs(
        lives=lives,
        starts=starts,
        ends=ends,
        weight=(ends - starts) * load * strongest,
        members=np.argsort(~takes, axis=1, kind="stable"),
        sizes=takes.sum(axis=1),
    )


def _requests(rng: np.random.Generator, place: int, epochs: _Epochs, count: int) -> pl.DataFrame:
    """Draw requests of one deployment: instants in microseconds, tokens, replica."""
    deployment, shape = DEPLOYMENTS[place], FLEET_SHAPES[DEPLOYMENTS[place].shape]
    epoch = rng.choice(len(epochs.starts), size=count, p=epochs.weight / epochs.weight.sum())
    length = epochs.ends[epoch] - epochs.starts[epoch]
    started = epochs.starts[epoch] + (rng.random(count) * length).astype(np.int64)
    # Logs keep milliseconds.
    started = started // 1000 * 1000
    life = epochs.members[epoch, (rng.random(count) * epochs.sizes[epoch]).astype(np.int64)]
    ready = np.array([item.ready for item in epochs.lives], dtype=np.int64)[life]
    failed = np.array([item.failed or _NEVER for item in epochs.lives], dtype=np.int64)[life]
    queued = np.maximum(ready - started, 0)
    prompt = lengths(rng, count, shape.prompt, at_most=shape.prompt_at_most)
    answer = lengths(rng, count, shape.answer, at_most=shape.answer_at_most)
    warm = rng.uniform(0.6, 1.0, size=count) * (rng.random(count) < WARM_SHARE) * deployment.cached
    cached = (prompt * warm).astype(np.int64) // 16 * 16
    speed = deployment.tokens_per_second * rng.lognormal(0.0, 0.12, size=count)
    prefill = 0.06 + (prompt - cached) / _PREFILL_TOKENS_PER_SECOND
    first = started + queued + _whole_milliseconds(prefill)
    finished = first + _whole_milliseconds(answer / speed)
    is_lost = finished > failed
    spoken = np.clip((failed - first) / np.maximum(finished - first, 1), 0.0, 1.0)
    answer = np.where(is_lost, (answer * spoken).astype(np.int64), answer)
    return pl.DataFrame(
        {
            "place": np.full(count, place),
            "replica_id": pl.Series([item.replica_id for item in epochs.lives]).gather(life),
            "started": started,
            "first": np.minimum(first, np.maximum(failed, started)),
            "finished": np.minimum(finished, np.maximum(failed, started)),
            "queue_seconds": queued / SECOND,
            "input_uncached_tokens": prompt - cached,
            "cache_read_tokens": cached,
            "reasoning_tokens": (answer * deployment.reasons).astype(np.int64),
            "output_tokens": answer,
            "is_lost": is_lost,
        }
    )


def _whole_milliseconds(seconds: Floats) -> Ints:
    return (seconds * 1000).astype(np.int64) * 1000


def _dated(calls: pl.DataFrame, users: pl.Series, is_cancelled: pl.Series) -> pl.DataFrame:
    """Add what the deployment tells, and spell the columns as the generic format does."""
    facts = pl.DataFrame(
        {
            "place": range(len(DEPLOYMENTS)),
            **{
                name: [getattr(item, name) for item in DEPLOYMENTS]
                for name in ("provider", "region", "route", "task_class", "model", "is_named_by_replica")
            },
            "is_embedding": [item.shape == "embedding" for item in DEPLOYMENTS],
        }
    )
    is_ok = ~pl.col("is_lost") & ~is_cancelled
    return calls.join(facts, on="place", how="left", maintain_order="left").select(
        "request_id",
        instants(calls.get_column("started").to_numpy()).alias("started_at"),
        instants(calls.get_column("first").to_numpy()).alias("first_token_at"),
        instants(calls.get_column("finished").to_numpy()).alias("finished_at"),
        "provider",
        "region",
        "route",
        requested_model="model",
        served_model="model",
        replica_id=pl.when("is_named_by_replica").then("replica_id"),
        tenant="tenant",
        user_id=pl.format("user-{}", users),
        operation=pl.when("is_embedding").then(pl.lit("embedding")).otherwise(pl.lit("chat")),
        task_class="task_class",
        status=pl.when(is_ok)
        .then(pl.lit("ok"))
        .when("is_lost")
        .then(pl.lit("error"))
        .otherwise(pl.lit("cancelled")),
        error_class=pl.when("is_lost").then(pl.lit("ReplicaLost")),
        input_uncached_tokens="input_uncached_tokens",
        cache_read_tokens="cache_read_tokens",
        output_text_tokens=pl.col("output_tokens") - pl.col("reasoning_tokens"),
        reasoning_tokens="reasoning_tokens",
        queue_seconds="queue_seconds",
    )
