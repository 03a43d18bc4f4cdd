"""The GPU price in force at each moment of a window, with what an hour has cost so far.

GPU money of [a, b) inside an hour is round(C(b)) - round(C(a)), C being the cumulative cost since the hour
began: parts telescope, a full hour is exact and no hour needs another.
"""

from datetime import datetime

import polars as pl

from models.costs.intervals import MICROSECONDS_PER_HOUR, microseconds
from models.periods import business_day_of, hour_of

UNKNOWN = "unknown"
"""The provider, region or chip of a replica of which nothing states it."""
POOL_PRICE_KEY = ("provider", "region", "chip", "commitment", "model")
FRACTION_UNITS = 63_000_000
"""Parts of an accelerator: millionths, and exact sevenths, ninths and twelfths."""
COST_UNITS = MICROSECONDS_PER_HOUR * FRACTION_UNITS
"""Divide rate x parts x microseconds by this to get picodollars."""
_MILLION = 1_000_000
_EXACT_PARTS = (7, 9, 12)
PHASES_WITHOUT_SHEET = ("pulling", "loading", "serving", "idle", "draining", "failed")
"""What counts as billed where no sheet says: everything but the wait for a machine."""


def units_held() -> pl.Expr:
    """Return how many parts of accelerators `chip_count` x `fraction` is.

    A fraction is written with six digits; what is within the last of them of a seventh, ninth or twelfth is that, so
    that the seven slices of a chip, or three models on one, sum to the chip.
    """
    millionths = (pl.col("fraction") * _MILLION).cast(pl.Int64)
    parts = millionths * (FRACTION_UNITS // _MILLION)
    for count in _EXACT_PARTS:
        nearest = (millionths * count + _MILLION // 2) // _MILLION
        is_near = (millionths * count - nearest * _MILLION).abs() < count
        parts = pl.when(is_near).then(nearest * (FRACTION_UNITS // count)).otherwise(parts)
    return pl.col("chip_count").cast(pl.Int64) * parts


def known_prices(prices: pl.LazyFrame, *, as_known_at: datetime) -> pl.LazyFrame:
    """Return the rows of `ref.gpu_prices` that were known at an instant."""
    return prices.filter(is_known(as_known_at))


def is_known(as_known_at: datetime) -> pl.Expr:
    """Return whether a row of a reference table was known at an instant."""
    known_to = pl.col("known_to")
    return (pl.col("known_from") <= as_known_at) & (known_to.is_null() | (known_to > as_known_at))


def price_pieces(
    keys: pl.DataFrame, slots: pl.DataFrame, *, prices: pl.LazyFrame, as_known_at: datetime, time_zone: str
) -> pl.DataFrame:
    """Cut the window into pieces of one price each, per provider x region x chip x commitment x model.

    Args:
        keys: the distinct keys to look up.
        slots: the window's slots.
        prices: `ref.gpu_prices`. A model's own price wins over one without a model (a unit of provisioned throughput
            costs by its model), then a region's own over one without a region.
        as_known_at: only prices known at this instant count.
        time_zone: reporting zone.

    Returns:
        Key columns, `piece_started_at, piece_ended_at, hour, accrued_on`, the price's columns (NULL where
        there is none) and `hour_units`: rate x microseconds from the start of the hour to that of the piece.
    """
    numbered = (
        keys.select(POOL_PRICE_KEY).unique().sort(POOL_PRICE_KEY, nulls_last=True).with_row_index("key")
    )
    candidates = (
        numbered.join(
            known_prices(prices, as_known_at=as_known_at)
            .select(
                "provider",
                "chip",
                "commitment",
                pl.col("region").alias("price_region"),
                pl.col("model").alias("price_model"),
                "price_id",
                pl.col("picodollars_per_gpu_hour").alias("rate"),
                "granularity_seconds",
                "minimum_seconds",
                "free_if_interrupted_within_seconds",
                "billed_phases",
                "valid_from",
                "valid_to",
                "known_from",
            )
            .collect(),
            on=["provider", "chip", "commitment"],
        )
        .filter(
            pl.col("price_region").is_null() | (pl.col("price_region") == pl.col("region")),
            pl.col("price_model").is_null()
            | (pl.col("price_model").str.to_lowercase() == pl.col("model").str.to_lowercase()),
        )
        .drop(POOL_PRICE_KEY)
    )
    begins, ends = slots["slot_started_at"].min(), slots["slot_ended_at"].max()
    changes = pl.concat(
        candidates.select("key", pl.col(column).alias("at")) for column in ("valid_from", "valid_to")
    ).filter(pl.col("at") > begins, pl.col("at") < ends)
    edges = numbered.select("key").join(slots.select(pl.col("slot_started_at").alias("at")), how="cross")
    pieces = (
        pl.concat([edges, changes])
        .unique()
        .sort("key", "at")
        .select(
            "key",
            pl.col("at").alias("piece_started_at"),
            pl.col("at").shift(-1).over("key").fill_null(ends).alias("piece_ended_at"),
        )
    )
    priced = (
        pieces.join(candidates, on="key")
        .filter(
            pl.col("valid_from") <= pl.col("piece_started_at"),
            pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("piece_started_at")),
        )
        .sort(
            pl.col("price_model").is_null(),
            pl.col("price_region").is_null(),
            "valid_from",
            "known_from",
            "price_id",
            descending=[False, False, True, True, False],
        )
        .unique(["key", "piece_started_at"], keep="first", maintain_order=True)
        .drop("piece_ended_at", "price_region", "price_model", "valid_from", "valid_to", "known_from")
    )
    spent = (
        pl.col("rate").fill_null(0).cast(pl.Int128)
        * (microseconds(pl.col("piece_ended_at")) - microseconds(pl.col("piece_started_at")))
    )  # fmt: skip
    return (
        pieces.join(priced, on=["key", "piece_started_at"], how="left")
        .sort("key", "piece_started_at")
        .with_columns(
            hour_of(pl.col("piece_started_at")).alias("hour"),
            business_day_of(pl.col("piece_started_at"), time_zone=time_zone).alias("accrued_on"),
            pl.col("billed_phases").fill_null(pl.lit(list(PHASES_WITHOUT_SHEET))),
            spent.alias("spent"),
        )
        .with_columns((pl.col("spent").cum_sum().over("key", "hour") - pl.col("spent")).alias("hour_units"))
        .drop("spent")
        .join(numbered, on="key")
        .drop("key")
    )
