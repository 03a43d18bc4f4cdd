"""What running counters counted in each UTC hour.

Between two readings of a series its counter grew by the difference; a counter that fell was reset by a restart, and
counted what it shows since (as Prometheus' `increase` has it). An increase over an hour's end is split by time,
cumulated and rounded, so that the parts sum to it. Readings further apart say nothing about the hours between.
"""

from datetime import timedelta

import polars as pl

from models.periods import HOUR

MOST_APART = timedelta(hours=2)
MEASURES = ("request_count", "input_tokens", "cache_read_tokens", "output_tokens")


def increases(readings: pl.LazyFrame) -> pl.LazyFrame:
    """Return `bucket_hour`, source, source_kind, provider, model and the growth of each measure (NULL: not read).

    Args:
        readings: rows of raw.usage_counters with a `series`, each reading once.
    """
    value = pl.coalesce(MEASURES)
    # A gauge grows by nothing.
    counted = readings.filter(pl.col("series").is_not_null() & value.is_not_null())
    rows = counted.sort("source", "series", "started_at")
    before = value.shift().over("source", "series")
    rows = rows.with_columns(
        grown=pl.when(value >= before).then(value - before).otherwise(value),
        since=pl.col("started_at").shift().over("source", "series"),
        until=pl.col("started_at"),
    ).filter(pl.col("since").is_not_null() & (pl.col("until") - pl.col("since") <= MOST_APART))
    hours = rows.with_columns(
        bucket_hour=pl.datetime_ranges(pl.col("since").dt.truncate("1h"), "until", "1h", closed="left")
    ).explode("bucket_hour")
    span = (pl.col("until") - pl.col("since")).dt.total_microseconds().cast(pl.Int128)

    def grown_until(instant: pl.Expr) -> pl.Expr:
        within = pl.min_horizontal(pl.max_horizontal(instant, "since"), "until") - pl.col("since")
        passed = within.dt.total_microseconds().cast(pl.Int128) * pl.col("grown").cast(pl.Int128)
        return (2 * passed + span) // (2 * span)

    hour = pl.col("bucket_hour")
    part = (grown_until(hour + HOUR) - grown_until(hour)).cast(pl.Int64)
    return hours.with_columns(
        pl.when(pl.col(name).is_not_null()).then(part).alias(name) for name in MEASURES
    ).select("bucket_hour", "source", "source_kind", "provider", "model", *MEASURES)
