"""core.replica_states: what state each replica was in, cut at hours, business days and price changes, with dollars."""

from datetime import datetime

import polars as pl

from models.costs.commitments import covered
from models.costs.intervals import half_even, microseconds, slots
from models.costs.lives import replica_intervals
from models.costs.nodes import nodes_of
from models.costs.rates import COST_UNITS, FRACTION_UNITS, POOL_PRICE_KEY, price_pieces
from models.money import ROW_USD, usd_from_picodollars
from models.schemas import table
from models.schemas.vocabulary import STARTING_STATES


def replica_states(
    events: pl.LazyFrame,
    *,
    prices: pl.LazyFrame,
    time_zone: str,
    as_known_at: datetime,
    from_hour: datetime,
    to_hour: datetime,
    commitments: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the rows of `core.replica_states` whose `state_hour` lies in [from_hour, to_hour).

    Dollars follow the vendor's sheet (`billed_phases`): a ready slice is billed when `serving` is; a slice of a
    failed start when both `failed` and the phase it was in are. Without a price they are NULL.

    Args:
        events: `core.replica_events`, all events of every replica alive in or before the window; chips as in
            `ref.chips`. A replica that never stopped lives to `to_hour`.
        prices: `ref.gpu_prices`.
        time_zone: IANA reporting zone that cuts business days.
        as_known_at: only prices known at this instant count.
        from_hour: start of the window, a UTC hour.
        to_hour: end of the window, exclusive.
        commitments: `ref.commitments`; what one does not cover runs on demand.
    """
    cuts = slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone)
    _, replicas = nodes_of(replica_intervals(events))
    slices = priced_slices(
        replicas if commitments is None else covered(replicas, commitments, cuts, as_known_at=as_known_at),
        prices=prices,
        time_zone=time_zone,
        as_known_at=as_known_at,
        from_hour=from_hour,
        to_hour=to_hour,
    )
    length = microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))
    billed = pl.when("is_billed").then(length).otherwise(0)
    picodollars = pl.when("is_billed").then(half_even_difference("cost", COST_UNITS)).otherwise(0)
    rows = slices.with_columns(
        pl.col("hour").alias("state_hour"),
        (billed.cast(pl.Decimal(38, 6)) / 1_000_000).cast(pl.Decimal(18, 6)).alias("billed_seconds"),
        pl.when(pl.col("rate").is_not_null())
        .then(usd_from_picodollars(picodollars, ROW_USD))
        .alias("billed_usd"),
        pl.col("state").is_in(STARTING_STATES).alias("is_cold_start"),
    )
    return (
        table("core.replica_states").conform(rows.lazy()).collect().sort("replica_id", "started_at", "state")
    )


def half_even_difference(name: str, units: int) -> pl.Expr:
    """Return round(C(b)) - round(C(a)) of a slice's cumulative columns `<name>_from` and `<name>_to`."""
    return half_even(pl.col(f"{name}_to"), units) - half_even(pl.col(f"{name}_from"), units)


def priced_slices(
    intervals: pl.DataFrame,
    *,
    prices: pl.LazyFrame,
    time_zone: str,
    as_known_at: datetime,
    from_hour: datetime,
    to_hour: datetime,
) -> pl.DataFrame:
    """Cut intervals at slots and price changes and give each slice its price.

    Returns:
        The intervals' columns, the piece's (models.costs.rates), `is_billed`, `ends_life`, and the cumulative
        `cost_from, cost_to` (divide by COST_UNITS for picodollars) and `gpu_from, gpu_to` (divide by
        FRACTION_UNITS for GPU-microseconds) since the hour began.
    """
    pieces = price_pieces(
        intervals.select(POOL_PRICE_KEY),
        slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone),
        prices=prices,
        as_known_at=as_known_at,
        time_zone=time_zone,
    )
    ends = pl.col("ended_at").fill_null(to_hour)
    within = (pl.col("started_at") < to_hour) & (ends > from_hour)
    size = pl.col("chip_count").cast(pl.Int128) * (pl.col("fraction") * FRACTION_UNITS).cast(pl.Int128)
    state, phase, billed = pl.col("state"), pl.col("phase"), pl.col("billed_phases")
    billed_as = state.replace("ready", "serving")
    # A phase of a failed start is billed only where the vendor bills both failures and that phase.
    is_billed = billed.list.contains(billed_as) & (
        (phase == "failed") | (state != "failed") | billed.list.contains(phase)
    )
    started, ended = microseconds(pl.col("started_at")), microseconds(pl.col("ended_at"))
    piece, hour = microseconds(pl.col("piece_started_at")), microseconds(pl.col("hour"))
    rate = pl.col("rate").fill_null(0).cast(pl.Int128)
    return (
        intervals.filter(within)
        .join(pieces, on=POOL_PRICE_KEY)
        .with_columns(ends.alias("ended_at"))
        .filter(
            pl.col("started_at") < pl.col("piece_ended_at"), pl.col("ended_at") > pl.col("piece_started_at")
        )
        .with_columns(
            pl.max_horizontal("started_at", "piece_started_at").alias("started_at"),
            pl.min_horizontal("ended_at", "piece_ended_at").alias("ended_at"),
            (pl.col("is_last") & (pl.col("ended_at") <= pl.col("piece_ended_at"))).alias("ends_life"),
        )
        .with_columns(
            is_billed.alias("is_billed"),
            (size * (pl.col("hour_units") + rate * (started - piece))).alias("cost_from"),
            (size * (pl.col("hour_units") + rate * (ended - piece))).alias("cost_to"),
            (size * (started - hour)).alias("gpu_from"),
            (size * (ended - hour)).alias("gpu_to"),
        )
    )
