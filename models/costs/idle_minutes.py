"""When a pool had room: its idle GPU-seconds by minute. What an hour's bill says of idling is in `pool_hours`."""

from datetime import datetime

import polars as pl

from models.costs.intervals import microseconds, slots
from models.costs.occupancy import POOL, in_flight, occupy
from models.costs.timeline import line_of, with_serving
from models.periods import business_day_of


def idle_minutes(
    states: pl.LazyFrame,
    requests: pl.LazyFrame,
    *,
    time_zone: str,
    from_hour: datetime,
    to_hour: datetime,
) -> pl.DataFrame:
    """Return in which minutes the ready replicas of each pool had nothing to do, and for how long.

    Work is laid over ready replicas as for the pools' hours, a minute at a time; where a log names only the
    deployment, busy replicas = min(ready, in flight).

    Args:
        states: `core.replica_states` of at least the window.
        requests: attempts on the pools that worked in the window; others do no harm.
        time_zone: IANA reporting zone.
        from_hour: start of the window, a UTC hour.
        to_hour: end of the window, exclusive.

    Returns:
        The pool's dimensions, `minute` (UTC) and `idle_gpu_seconds` above 0, by minute and pool.
    """
    ready = _cut_at_minutes(states.filter(pl.col("state") == "ready"), time_zone=time_zone).collect()
    hours = slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone)
    begins = pl.datetime_ranges("slot_started_at", "slot_ended_at", "1m", closed="left")
    minutes = hours.select(begins.alias("slot_started_at"), "accrued_on").explode("slot_started_at").select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("slot"),
        "slot_started_at",
        (pl.col("slot_started_at") + pl.duration(minutes=1)).alias("slot_ended_at"),
        pl.col("slot_started_at").alias("hour"),
        "accrued_on",
    )  # fmt: skip
    occupancy = occupy(in_flight(requests), ready.lazy(), minutes)
    occupancy = with_serving(occupancy, line_of(occupancy))
    idle = (pl.col("ends") - pl.col("starts") - pl.col("busy")).cast(pl.Float64)
    size = pl.col("chip_count") * pl.col("fraction").cast(pl.Float64) / 1_000_000
    return (
        occupancy.ready.group_by(*POOL, pl.col("state_hour").alias("minute"))
        .agg((idle * size).sum().alias("idle_gpu_seconds"))
        .filter(pl.col("idle_gpu_seconds") > 0)
        .sort("minute", *POOL)
    )


def _cut_at_minutes(ready: pl.LazyFrame, *, time_zone: str) -> pl.LazyFrame:
    """Return one row per slice and minute, with the minute in place of the hour."""
    last = pl.col("ended_at") - pl.duration(microseconds=1)
    minute = pl.datetime_ranges(pl.col("started_at").dt.truncate("1m"), last, "1m")
    whole = microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))
    return (
        ready.filter(whole > 0)
        .with_columns(minute.alias("state_hour"))
        .explode("state_hour")
        .with_columns(
            pl.max_horizontal("started_at", "state_hour").alias("started_at"),
            pl.min_horizontal("ended_at", pl.col("state_hour") + pl.duration(minutes=1)).alias("ended_at"),
        )
        .with_columns(business_day_of(pl.col("state_hour"), time_zone=time_zone).alias("accrued_on"))
    )
