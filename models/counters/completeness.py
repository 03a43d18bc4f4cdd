"""Logs against independent counters: what was counted, what is in the logs, and the gap between them.

Buckets shorter than an hour are summed to the hour; buckets of a UTC day are compared on the day. A positive gap is
usage that no log tells of. Its dollars are an estimate: by the model's effective prices on that UTC day, input and
output apart, else by its list prices.
"""

from datetime import datetime

import polars as pl

from models.counters.buckets import DAY_SECONDS, HOUR_SECONDS
from models.counters.increases import MEASURES, increases
from models.money import usd_from_picodollars
from models.schemas import table
from models.schemas.base import INSTANT

_NAMES = {
    "request_count": "count",
    "tokens": "tokens",
    "input_tokens": "input_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "output_tokens": "output_tokens",
}
_CELL = ("bucket_hour", "bucket_seconds", "source", "source_kind", "provider", "model")
_PRICED = ("input_picodollars", "priced_input_tokens", "output_picodollars", "priced_output_tokens")
LOGGED: dict[str, pl.DataType | type[pl.DataType]] = {
    "hour": INSTANT,
    "provider": pl.String,
    "model": pl.String,
    **dict.fromkeys(("request_count", "input_tokens", "cache_read_tokens", "output_tokens"), pl.Int64),
    **dict.fromkeys(_PRICED, pl.Int128),
}
"""Attempts by UTC hour, provider and model: what was logged, and what the priced ones of them cost."""


def completeness(
    counters: pl.LazyFrame, logged: pl.LazyFrame, prices: pl.LazyFrame, *, ended_by: datetime
) -> pl.LazyFrame:
    """Return rows of ops.completeness.

    Args:
        counters: rows of raw.usage_counters, each count once, with models named as the logs name them.
        logged: attempts as `LOGGED`, of every hour of the buckets' UTC days.
        prices: list prices per token in dollars: provider, model, meter, picodollars_per_unit, valid_from, valid_to.
        ended_by: buckets that had not ended by then are left out.
    """
    counted = _counted(counters, ended_by)
    hours = logged.with_columns(bucket_hour="hour", bucket_seconds=pl.lit(HOUR_SECONDS, dtype=pl.Int64))
    days = logged.with_columns(
        bucket_hour=pl.col("hour").dt.truncate("1d"), bucket_seconds=pl.lit(DAY_SECONDS, dtype=pl.Int64)
    )
    by_model = pl.concat([hours, days])
    either = pl.concat([by_model, by_model.with_columns(model=pl.lit(None, dtype=pl.String))])
    place = ("bucket_hour", "bucket_seconds", "provider", "model")
    held = either.group_by(place).agg(
        *(pl.col(name).sum().alias(f"logged_{_NAMES[name]}") for name in MEASURES)
    )
    rows = _with_silent(counted, held).join(held, on=place, how="left", nulls_equal=True)
    rows = rows.with_columns(pl.col(f"logged_{_NAMES[name]}").fill_null(0) for name in MEASURES)
    rows = rows.with_columns(
        (pl.col(f"{side}_input_tokens") + pl.col(f"{side}_output_tokens")).alias(f"{side}_tokens")
        for side in ("counted", "logged")
    ).with_columns(
        (pl.col(f"counted_{name}") - pl.col(f"logged_{name}")).alias(f"gap_{name}")
        for name in _NAMES.values()
    )
    return table("ops.completeness").conform(_estimated(rows, days, prices))


def _counted(counters: pl.LazyFrame, ended_by: datetime) -> pl.LazyFrame:
    started, finished = pl.col("started_at"), pl.col("finished_at")
    is_day = finished - started == pl.duration(seconds=DAY_SECONDS)
    buckets = counters.filter(pl.col("series").is_null()).select(
        pl.when(is_day).then(started).otherwise(started.dt.truncate("1h")).alias("bucket_hour"),
        pl.when(is_day).then(DAY_SECONDS).otherwise(HOUR_SECONDS).cast(pl.Int64).alias("bucket_seconds"),
        *_CELL[2:],
        *MEASURES,
    )
    running = increases(counters).with_columns(bucket_seconds=pl.lit(HOUR_SECONDS, dtype=pl.Int64))
    both = pl.concat([buckets, running.select(buckets.collect_schema().names())])
    ends_at = pl.col("bucket_hour") + pl.duration(seconds="bucket_seconds")
    return (
        both.filter(ends_at <= ended_by)
        .group_by(_CELL)
        .agg(
            pl.when(pl.col(name).is_not_null().any())
            .then(pl.col(name).sum())
            .alias(f"counted_{_NAMES[name]}")
            for name in MEASURES
        )
    )


def _with_silent(counted: pl.LazyFrame, held: pl.LazyFrame) -> pl.LazyFrame:
    """Add the models that the logs of a bucket name and its counter does not, where it tells models apart."""
    by_model = counted.filter(pl.col("model").is_not_null())
    scope = ("bucket_hour", "bucket_seconds", "provider")
    named = held.filter(pl.col("model").is_not_null()).select(*scope, "model")
    silent = (
        by_model.select("source", "source_kind", *scope)
        .unique()
        .join(named, on=scope)
        .join(by_model, on=_CELL, how="anti")
    )
    return pl.concat([counted, silent], how="diagonal")


def _estimated(rows: pl.LazyFrame, days: pl.LazyFrame, prices: pl.LazyFrame) -> pl.LazyFrame:
    rates = days.group_by("provider", "model", day="bucket_hour").agg(pl.col(name).sum() for name in _PRICED)
    listed = (
        prices.filter(pl.col("meter").is_in(["input_uncached", "cache_read", "output_text"]))
        .group_by("provider", "model", "valid_from", "valid_to")
        .agg(
            pl.col("picodollars_per_unit").filter(pl.col("meter") == meter).first().alias(f"{meter}_rate")
            for meter in ("input_uncached", "cache_read", "output_text")
        )
        .sort("valid_from")
    )
    rows = rows.with_row_index("cell").with_columns(day=pl.col("bucket_hour").dt.truncate("1d"))
    at = pl.col("bucket_hour")
    found = (
        rows.select("cell", "provider", "model", "bucket_hour")
        .join(listed, on=["provider", "model"])
        .filter((pl.col("valid_from") <= at) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > at)))
        .unique("cell", keep="last", maintain_order=True)
        .select("cell", "input_uncached_rate", "cache_read_rate", "output_text_rate")
    )
    rows = rows.join(rates, on=["provider", "model", "day"], how="left").join(found, on="cell", how="left")
    effective = _share("input") + _share("output")
    gap_read = pl.col("gap_cache_read_tokens").fill_null(0)
    book = (
        _times(pl.col("gap_input_tokens") - gap_read, "input_uncached_rate")
        + _times(gap_read, "cache_read_rate")
        + _times(pl.col("gap_output_tokens"), "output_text_rate")
    )
    return rows.with_columns(
        gap_estimated_usd=usd_from_picodollars(pl.coalesce(effective, book)),
        estimated_from=pl.when(effective.is_not_null())
        .then(pl.lit("logged"))
        .when(book.is_not_null())
        .then(pl.lit("price_book")),
    )


def _share(side: str) -> pl.Expr:
    """Return what a gap costs at the rate of the logged tokens, in picodollars, rounded half up."""
    gap = pl.col(f"gap_{side}_tokens").cast(pl.Int128)
    usd, tokens = pl.col(f"{side}_picodollars"), pl.col(f"priced_{side}_tokens")
    cost = pl.when(tokens > 0).then((2 * gap * usd + tokens) // (2 * tokens))
    return pl.when(gap == 0).then(pl.lit(0, dtype=pl.Int128)).otherwise(cost)


def _times(gap: pl.Expr, rate: str) -> pl.Expr:
    cost = gap.cast(pl.Int128) * pl.col(rate).cast(pl.Int128)
    return pl.when(gap == 0).then(pl.lit(0, dtype=pl.Int128)).otherwise(cost)
