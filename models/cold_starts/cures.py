"""What would have absorbed a burst, in dollars a day: more warm replicas, or replicas kept warm for longer."""

from datetime import timedelta

import polars as pl

from models.cold_starts.series import StartSeries
from models.money import usd_from_picodollars

NOT_CURED_BY_REPLICAS = ("deploy", "crash_loop")
"""A new version has to be loaded and a crash to be mended, however many replicas are warm."""
KEEP_WARM_AT_MOST = timedelta(days=1)
STOPS_WITHIN = timedelta(days=7)
_FRACTION_UNITS = 1_000_000
_MICROSECONDS_PER_HOUR = 3_600_000_000


def with_cures(incidents: pl.DataFrame, found: StartSeries, prices: pl.DataFrame) -> pl.DataFrame:
    """Return the incidents with the columns `cure_...`.

    The least extra warm replicas are as many as the burst's replicas that lived at the same time. A keep-warm
    would have had to bridge the time from the stop of as many replicas to the onset; it costs what idle replicas
    cost for as long, at each stop of the seven days before, a seventh of it a day. Neither cures a deploy or a
    crash loop. Rates are those in force at the onset as known now; NULL without a price.
    """
    members = found.rows.join(
        incidents.select("incident", "series", "onset_at", burst_ended_at="ended_at"), on="series"
    ).filter(pl.col("requested_at") >= pl.col("onset_at"), pl.col("requested_at") <= pl.col("burst_ended_at"))
    is_curable = ~pl.col("cause").is_in(NOT_CURED_BY_REPLICAS)
    wanted = incidents.join(_at_once(members), on="incident", how="left").with_columns(
        pl.when(is_curable).then("at_once").alias("cure_replica_count")
    )
    kept = _keep_warm(wanted, found.rows)
    rates = _rates(members, prices)
    count = pl.col("cure_replica_count").cast(pl.Int128)
    hourly = pl.col("picodollars_per_replica_hour")
    seconds = pl.col("keep_warm_us").cast(pl.Int128)
    return (
        wanted.join(kept, on="incident", how="left")
        .join(rates, on="incident", how="left")
        .with_columns(
            usd_from_picodollars(hourly * count * 24).alias("cure_usd_per_day"),
            (pl.col("keep_warm_us") / 1e6).alias("cure_keep_warm_seconds"),
            usd_from_picodollars(
                hourly * seconds * pl.col("stop_count").cast(pl.Int128) // (_MICROSECONDS_PER_HOUR * STOPS_WITHIN.days)
            ).alias("cure_keep_warm_usd_per_day"),
        )
    )  # fmt: skip


def _at_once(members: pl.DataFrame) -> pl.DataFrame:
    """Return how many replicas of each incident lived at the same time, at most."""
    edges = pl.concat(
        members.select("incident", pl.col(side).alias("at"), pl.lit(step).alias("step")).drop_nulls("at")
        for side, step in (("requested_at", 1), ("stopped_at", -1))
    )
    return (
        edges.sort("incident", "at", "step")
        .with_columns(pl.col("step").cum_sum().over("incident").alias("living"))
        .group_by("incident")
        .agg(pl.col("living").max().cast(pl.Int64).alias("at_once"))
    )


def _keep_warm(incidents: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Return how long ago as many replicas as the cure wants were stopped, and how many are stopped in a week."""
    stops = starts.filter(pl.col("outcome") == "ready").select("series", "stopped_at").drop_nulls()
    before = incidents.select("incident", "series", "onset_at", "cure_replica_count").join(stops, on="series").filter(
        pl.col("stopped_at") < pl.col("onset_at"), pl.col("stopped_at") >= pl.col("onset_at") - STOPS_WITHIN
    )  # fmt: skip
    gap = (pl.col("onset_at") - pl.col("stopped_at")).dt.total_microseconds()
    return (
        before.sort("incident", "stopped_at", descending=[False, True])
        .with_columns(pl.int_range(1, pl.len() + 1).over("incident").alias("place"), gap.alias("gap"))
        .group_by("incident")
        .agg(
            pl.col("gap").filter(pl.col("place") == pl.col("cure_replica_count")).first().alias("keep_warm_us"),
            pl.len().cast(pl.Int64).alias("stop_count"),
        )
        .with_columns(
            pl.when(pl.col("keep_warm_us") <= KEEP_WARM_AT_MOST / timedelta(microseconds=1)).then("keep_warm_us")
        )
    )  # fmt: skip


def _rates(members: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Return what an hour of a replica of each incident costs, at the price in force at the onset."""
    first = (
        members.sort("requested_at", "replica_id")
        .group_by("incident", maintain_order=True)
        .agg(pl.col("onset_at", "provider", "region", "chip", "commitment", "chip_count", "fraction").first())
    )
    known = prices.filter(pl.col("known_to").is_null()).select(
        "provider", "chip", "commitment", pl.col("region").alias("price_region"), "picodollars_per_gpu_hour",
        "valid_from", "valid_to", "price_id",
    )  # fmt: skip
    size = pl.col("chip_count").cast(pl.Int128) * (pl.col("fraction") * _FRACTION_UNITS).cast(pl.Int128)
    return (
        first.join(known, on=["provider", "chip", "commitment"])
        .filter(
            pl.col("price_region").is_null() | (pl.col("price_region") == pl.col("region")),
            pl.col("valid_from") <= pl.col("onset_at"),
            pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("onset_at")),
        )
        .with_columns(
            pl.col("price_region").is_null().alias("is_general"),
            (pl.col("picodollars_per_gpu_hour").cast(pl.Int128) * size // _FRACTION_UNITS).alias(
                "picodollars_per_replica_hour"
            ),
        )
        .sort("incident", "is_general", "valid_from", "price_id", descending=[False, False, True, False])
        .group_by("incident", maintain_order=True)
        .agg(pl.col("picodollars_per_replica_hour").first())
    )
