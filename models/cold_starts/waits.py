"""Who waited for a start, and which part of its dollars that is: by the seconds waited, cut to picodollars."""

import polars as pl

from models.money import half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table

_SECONDS = 10**6


def start_waits(starts: pl.DataFrame, waits: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `mart.cold_start_waits`: one per start x tenant x team that waited for it.

    Dollars of a start are cut by cumulated seconds, so that they sum to `start_usd`; a start that nobody waited for has
    one row without a tenant.

    Args:
        starts: rows of `mart.cold_starts`.
        waits: requests that waited, as `delays` returns them.
    """
    start, payer = ["replica_id", "requested_at"], ["tenant", "team"]
    waited = waits.group_by(*start, *payer).agg(
        pl.len().cast(pl.Int64).alias("request_count"),
        pl.col("is_abandoned").sum().cast(pl.Int64).alias("abandoned_request_count"),
        pl.col("waited_seconds").sort().sum().alias("added_seconds"),
    )
    weight = (pl.col("added_seconds") * _SECONDS).round().cast(pl.Int64)
    amount = picodollars_from_usd(pl.col("start_usd"))
    kept = (
        "started_on",
        "provider",
        "region",
        "chip",
        "deployment",
        "commitment",
        "cause",
        "outcome",
        "start_usd",
    )
    rows = (
        starts.select(*start, *kept)
        .join(waited, on=start, how="left")
        .sort(*start, *payer, nulls_last=True)
        .with_columns(
            is_waited=pl.col("request_count").is_not_null(),
            weight=pl.when(pl.col("request_count").is_null()).then(1).otherwise(weight.clip(1)),
        )
        .with_columns(
            so_far=half_even(
                amount * pl.col("weight").cum_sum().over(start), pl.col("weight").sum().over(start)
            )
        )
        .with_columns(part=pl.col("so_far") - pl.col("so_far").shift(1).over(start).fill_null(0))
    )
    return (
        table("mart.cold_start_waits")
        .conform(
            rows.lazy()
            .drop("start_usd")
            .with_columns(
                usd_from_picodollars(pl.col("part")).alias("start_usd"),
                pl.col("request_count", "abandoned_request_count").fill_null(0),
                pl.col("added_seconds").fill_null(0.0),
            )
        )
        .collect()
    )
