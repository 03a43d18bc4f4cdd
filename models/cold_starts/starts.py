"""mart.cold_starts: every start of a replica with its phases, its dollars, who waited for it and why it was."""

from datetime import date

import polars as pl

from models.cold_starts.causes import with_causes
from models.cold_starts.delays import attempts, delay_totals, delays, ready_counts
from models.cold_starts.inferred import inferred_starts
from models.cold_starts.observed import observed_starts
from models.cold_starts.waits import start_waits
from models.periods import business_day_of
from models.schemas import table


def cold_starts(
    events: pl.LazyFrame,
    states: pl.LazyFrame,
    requests: pl.LazyFrame,
    *,
    time_zone: str,
    from_on: date,
    to_on: date,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `mart.cold_starts` and `mart.cold_start_waits` of starts on business days in [from_on, to_on).

    A start counts whole on the day on which it was asked for, however late it is ready: over all days, the dollars
    of ready, cancelled and pending starts sum to `core.pool_hours.starting_usd`. Deployments without lifecycle events
    have the starts that their requests betray: `is_inferred`, with an estimate instead of dollars.

    Args:
        events: `core.replica_events` of the deployments; ten minutes more before the first day tell causes.
        states: `core.replica_states`: all slices of the lives that began on these days, and what else was ready.
        requests: `core.requests` of these deployments, and of others of which starts may be inferred; six hours more
            before the first day tell what is usual.
        time_zone: IANA reporting zone.
        from_on: first business day.
        to_on: business day after the last.
    """
    states, events = _distinguished(states, events)
    seen = observed_starts(states, events)
    inferred, waiting = inferred_starts(requests, seen, pl.concat([_who(events), _who(states)]))
    starts = _on_days(seen, time_zone=time_zone, from_on=from_on, to_on=to_on)
    asked = attempts(requests, states, starts)
    waits = delays(asked, states, starts)
    rows = delay_totals(waits, asked, ready_counts(starts, states))
    rows = with_causes(rows, events, asked).with_columns(pl.lit(value=False).alias("is_inferred"))
    mart = table("mart.cold_starts")
    days = _on_days(inferred, time_zone=time_zone, from_on=from_on, to_on=to_on)
    told = pl.concat(mart.conform(part.lazy(), fill=True).collect() for part in (rows, days)).sort(
        "requested_at", "replica_id"
    )
    return told, start_waits(told, pl.concat([waits.select(waiting.columns), waiting]))


def _distinguished(states: pl.LazyFrame, events: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Add source and place to ids that several replicas bear which began at one instant, as in two clusters."""
    place = pl.concat_str("source", pl.coalesce("cluster", "region"), separator="/", ignore_nulls=True)
    several = (
        states.group_by("replica_id", "life_started_at")
        .agg(place.n_unique().alias("places"))
        .filter(pl.col("places") > 1)
        .select("replica_id")
        .unique()
        .collect()
        .get_column("replica_id")
        .to_list()
    )
    if not several:
        return states, events
    qualified = pl.when(pl.col("replica_id").is_in(several)).then(
        pl.concat_str("replica_id", place, separator="@")
    )
    named = pl.coalesce(qualified, "replica_id").alias("replica_id")
    return states.with_columns(named), events.with_columns(named)


def _who(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.select("replica_id", "deployment")


def _on_days(starts: pl.DataFrame, *, time_zone: str, from_on: date, to_on: date) -> pl.DataFrame:
    day = business_day_of(pl.col("requested_at"), time_zone=time_zone)
    return starts.with_columns(day.alias("started_on")).filter(
        pl.col("started_on") >= from_on, pl.col("started_on") < to_on
    )
