"""core.replica_states: what state each replica was in, cut at hours, business days and price changes, with dollars."""

from datetime import datetime

import polars as pl

from models.costs.commitments import covered
from models.costs.intervals import microseconds, slots
from models.costs.lives import replica_intervals
from models.costs.nodes import held_of_nodes, nodes_of, unheld, with_over_held
from models.costs.rates import COST_UNITS, PHASES_WITHOUT_SHEET, POOL_PRICE_KEY, price_pieces
from models.money import ROW_USD, half_even, usd_from_picodollars
from models.periods import business_day_of, hour_of
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT, STARTING_STATES


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
    nodes, replicas = nodes_of(replica_intervals(events))
    held = held_of_nodes(nodes, replicas)
    slices = priced_slices(
        covered(
            pl.concat([with_over_held(nodes, replicas, held), unheld(nodes, held)]),
            table("ref.commitments").empty() if commitments is None else commitments,
            cuts,
            as_known_at=as_known_at,
        ).intervals.filter(pl.col("deployment") != NONE_DEPLOYMENT),
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
        table("core.replica_states")
        .conform(rows.lazy())
        .collect()
        .sort("replica_id", "source", "cluster", "region", "started_at", "state")
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

    Args:
        intervals: as `Coverage` has them; what lies on a purchase has its rate, whatever a sheet says.
        prices: `ref.gpu_prices`.
        time_zone: IANA reporting zone.
        as_known_at: only prices known at this instant count.
        from_hour: start of the window, a UTC hour.
        to_hour: end of the window, exclusive.

    Returns:
        The intervals' columns, the piece's (models.costs.rates), `is_billed`, `purchase` (NULL for none),
        `ends_life` (and its sheet's minimum and rounding hold), and the cumulative `cost_from, cost_to` (divide by
        COST_UNITS for picodollars) and `gpu_from, gpu_to` (parts x microseconds) since the hour began.
    """
    is_bought = pl.col("line_from").is_not_null()
    bought = _bought_slices(intervals.filter(is_bought), time_zone=time_zone)
    intervals = intervals.filter(~is_bought).drop("price_id", "rate", "line_from", "line_to")
    pieces = price_pieces(
        intervals.select(POOL_PRICE_KEY),
        slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone),
        prices=prices,
        as_known_at=as_known_at,
        time_zone=time_zone,
    )
    ends = pl.col("ended_at").fill_null(to_hour)
    within = (pl.col("started_at") < to_hour) & (ends > from_hour)
    started, ended = microseconds(pl.col("started_at")), microseconds(pl.col("ended_at"))
    piece, hour = microseconds(pl.col("piece_started_at")), microseconds(pl.col("hour"))
    rate = pl.col("rate").fill_null(0).cast(pl.Int128)
    listed = (
        intervals.filter(within)
        .join(pieces, on=POOL_PRICE_KEY, nulls_equal=True)
        .with_columns(ends.alias("ended_at"))
        .filter(
            pl.col("started_at") < pl.col("piece_ended_at"), pl.col("ended_at") > pl.col("piece_started_at")
        )
        .with_columns(
            pl.max_horizontal("started_at", "piece_started_at").alias("started_at"),
            pl.min_horizontal("ended_at", "piece_ended_at").alias("ended_at"),
            (pl.col("is_last") & (pl.col("ended_at") <= pl.col("piece_ended_at")) & ~_is_free()).alias(
                "ends_life"
            ),
        )
        .with_columns(
            (is_billed_phase(pl.col("billed_phases")) & ~_is_free()).alias("is_billed"),
            (_UNITS * (pl.col("hour_units") + rate * (started - piece))).alias("cost_from"),
            (_UNITS * (pl.col("hour_units") + rate * (ended - piece))).alias("cost_to"),
            (_UNITS * (started - hour)).alias("gpu_from"),
            (_UNITS * (ended - hour)).alias("gpu_to"),
            pl.lit(None, dtype=pl.String).alias("purchase"),
        )
    )
    return pl.concat([listed, bought.select(listed.columns)])


_UNITS = pl.col("units").cast(pl.Int128)


def is_billed_phase(billed: pl.Expr) -> pl.Expr:
    """Return whether a vendor that bills some phases bills an interval.

    A phase of a failed start is billed only where the vendor bills both failures and that phase.
    """
    state, phase = pl.col("state"), pl.col("phase")
    return billed.list.contains(state.replace("ready", "serving")) & (
        (phase == "failed") | (state != "failed") | billed.list.contains(phase)
    )


def _is_free() -> pl.Expr:
    """Return whether the vendor waives a life that it interrupted early (AWS: a spot instance in its first hour).

    Source: AWS EC2 User Guide, "Billing for interrupted Spot Instances".
    """
    limit = pl.col("free_if_interrupted_within_seconds")
    return (pl.col("interrupted_after").dt.total_microseconds() < limit * 1_000_000).fill_null(value=False)


def _bought_slices(intervals: pl.DataFrame, *, time_zone: str) -> pl.DataFrame:
    """Give what lies on a purchase, which is cut at slots, the columns of priced slices."""
    rate, hour = pl.col("rate").cast(pl.Int128), microseconds(pl.col("hour"))
    return intervals.with_columns(
        hour_of(pl.col("started_at")).alias("hour"),
        business_day_of(pl.col("started_at"), time_zone=time_zone).alias("accrued_on"),
        pl.col("started_at").alias("piece_started_at"),
        pl.col("ended_at").alias("piece_ended_at"),
        pl.lit(1, dtype=pl.Int64).alias("granularity_seconds"),
        pl.lit(0, dtype=pl.Int64).alias("minimum_seconds"),
        pl.lit(None, dtype=pl.Int64).alias("free_if_interrupted_within_seconds"),
        pl.lit(list(PHASES_WITHOUT_SHEET)).alias("billed_phases"),
        pl.lit(0, dtype=pl.Int128).alias("hour_units"),
        pl.lit(value=True).alias("is_billed"),
        # Nothing is padded beyond what was bought.
        pl.lit(value=False).alias("ends_life"),
        (rate * pl.col("line_from")).alias("cost_from"),
        (rate * pl.col("line_to")).alias("cost_to"),
        pl.col("price_id").alias("purchase"),
    ).with_columns(
        (_UNITS * (microseconds(pl.col("started_at")) - hour)).alias("gpu_from"),
        (_UNITS * (microseconds(pl.col("ended_at")) - hour)).alias("gpu_to"),
    )
