"""One sort of all starts and ends, then cumulative integrals: busy time of replicas, shares of attempts.

With speed r(t) dollars a microsecond and W(t) the weights in flight, G(t) = integral of r/W, and an attempt of
weight w costs w (G(end) - G(start)). Weights and G are summed as 128-bit integers, so that a long sum of small
and large terms loses nothing and the order of simultaneous rows does not matter; only one division per segment
is a float (relative error 2e-16).
"""

from dataclasses import replace

import polars as pl

from models.costs.intervals import half_even
from models.costs.occupancy import Occupancy

_OFFSET = 2**32
_WEIGHT_SCALE = 2.0**80
_INTEGRAL_SCALE = 2.0**50


def segments(placed: pl.DataFrame, occupancy: Occupancy) -> pl.LazyFrame:
    """Return the time line of all stages, sorted: each row runs to the next.

    Args:
        placed: `stage, starts, ends` of the attempts, and `weight` (float) where shares are wanted.
        occupancy: the epochs to lay them over.

    Returns:
        `moment` (row of `placed` for a start, that plus its height for an end, NULL for an epoch), `lasts`
        (microseconds), `level` (working replicas), `flat` (place in `levels`), `weights` in flight (fixed point).
    """
    has_weight = "weight" in placed.columns
    weight = (pl.col("weight") * _WEIGHT_SCALE).cast(pl.Int128) if has_weight else pl.lit(0, dtype=pl.Int128)
    rows = placed.lazy().with_row_index("row").with_columns(weight.alias("fixed"))
    at = pl.col("stage") * _OFFSET
    none = pl.lit(None, dtype=pl.Int64)
    row = pl.col("row").cast(pl.Int64)
    one = pl.lit(1, dtype=pl.Int64)
    starts = rows.select(
        (at + pl.col("starts")).alias("at"),
        row.alias("moment"),
        one.alias("more"),
        "fixed",
        none.alias("epoch"),
    )
    ends = rows.select(
        (at + pl.col("ends")).alias("at"),
        (row + placed.height).alias("moment"),
        (-one).alias("more"),
        (pl.lit(0, dtype=pl.Int128) - pl.col("fixed")).alias("fixed"),
        none.alias("epoch"),
    )
    epochs = occupancy.epochs.lazy().select(
        (at + pl.col("starts")).alias("at"),
        none.alias("moment"),
        pl.lit(0, dtype=pl.Int64).alias("more"),
        pl.lit(0, dtype=pl.Int128).alias("fixed"),
        pl.col("epoch").cast(pl.Int64),
    )
    epoch = pl.col("epoch").forward_fill().fill_null(0)
    ready_count = pl.lit(occupancy.epochs["ready_count"]).gather(epoch)
    first = pl.lit(occupancy.epochs["flat"].cast(pl.Int64)).gather(epoch)
    level = pl.min_horizontal(pl.col("more").cum_sum(), ready_count)
    return (
        pl.concat([starts, ends, epochs])
        .sort("at")
        .select(
            "moment",
            (pl.col("at").shift(-1) - pl.col("at")).fill_null(0).alias("lasts"),
            level.alias("level"),
            (first + level).alias("flat"),
            pl.col("fixed").cum_sum().alias("weights"),
        )
    )


def with_serving(occupancy: Occupancy) -> Occupancy:
    """Return the occupancy with `busy` and `serving_picodollars` on its ready slices.

    Serving is the slice's dollars x busy time / its length, rounded half-even once.
    """
    ready = occupancy.ready
    if occupancy.epochs.is_empty():
        return replace(
            occupancy,
            ready=ready.with_columns(
                pl.lit(0, dtype=pl.Int64).alias("busy"),
                pl.lit(0, dtype=pl.Int128).alias("serving_picodollars"),
            ),
        )
    worked = (
        segments(occupancy.placed, occupancy)
        .filter(pl.col("level") > 0, pl.col("lasts") > 0)
        .group_by("flat")
        .agg(pl.col("lasts").sum())
        .collect()
    )
    places = occupancy.epochs.select("epoch", "slice", "flat").explode("slice").with_columns(
        (pl.col("flat") + 1 + pl.int_range(pl.len()).over("epoch")).cast(pl.Int64).alias("flat")
    )  # fmt: skip
    # The n-th replica of an epoch works whenever n or more do.
    busy = (
        places.join(worked, on="flat", how="left")
        .with_columns(pl.col("lasts").fill_null(0).cum_sum(reverse=True).over("epoch", order_by="flat"))
        .group_by("slice")
        .agg(pl.col("lasts").sum().alias("busy"))
    )
    length = pl.col("ends") - pl.col("starts")
    return replace(
        occupancy,
        ready=ready.join(busy, on="slice").with_columns(
            half_even(pl.col("picodollars") * pl.col("busy").cast(pl.Int128), length).alias(
                "serving_picodollars"
            )
        ),
    )


def shares(placed: pl.DataFrame, occupancy: Occupancy) -> pl.Series:
    """Return what each row of `placed` costs in picodollars, unrounded: w (G(end) - G(start))."""
    if placed.is_empty():
        return pl.Series("share", [], dtype=pl.Float64)
    speed = pl.lit(occupancy.levels).gather(pl.col("flat"))
    growth = (
        pl.when(pl.col("level") > 0)
        .then(
            speed * pl.col("lasts") / (pl.col("weights").cast(pl.Float64) / _WEIGHT_SCALE) * _INTEGRAL_SCALE
        )
        .otherwise(0.0)
        .cast(pl.Int128)
    )
    integral = (
        segments(placed, occupancy)
        .select("moment", (growth.cum_sum() - growth).alias("integral"))
        .drop_nulls("moment")
        .sort("moment")
        .collect()
        .to_series(1)
    )
    grown = integral.slice(placed.height) - integral.head(placed.height)
    return grown.cast(pl.Float64) / _INTEGRAL_SCALE * placed["weight"]
