"""Of a count that was delivered several times the latest is the count: nothing is added twice.

A bucket that is fetched again replaces the older one key by key; one that was asked for by other keys replaces all of
it, since both would count the same calls. A delivery that only repeats an earlier one is no later.
"""

import polars as pl

from models.periods import hour_of
from models.schemas import table

_BOOKKEEPING = ("source_kind", "ingested_at", "file_hash", "line_number", "record_number")
_BUCKET = ("source", "counter", "series", "started_at", "finished_at")


def latest(counters: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Split rows of raw.usage_counters into those that count and rows of ops.counter_duplicates."""
    content = pl.struct(pl.exclude(_BOOKKEEPING)).hash()
    places = ("ingested_at", "file_hash", "line_number", "record_number")
    rows = counters.with_columns(content=content).with_columns(
        delivered_at=pl.col("ingested_at").min().over("source", "content")
    )
    rows = rows.sort("delivered_at", *places, descending=[True, False, False, True, True])
    asked = pl.col("grouped_by").first().over(_BUCKET)
    is_asked = pl.col("grouped_by").eq_missing(asked)
    rows = rows.with_columns(is_asked=is_asked).sort("is_asked", descending=True, maintain_order=True)
    is_first = (pl.int_range(pl.len()).over("source", "dedupe_key") == 0) & pl.col("is_asked")
    winner = {
        f"winner_{name}": pl.col(name).first().over(_BUCKET)
        for name in ("source", "file_hash", "line_number")
    }
    own = {
        f"own_{name}": pl.col(name).first().over("source", "dedupe_key")
        for name in ("file_hash", "line_number")
    }
    rows = rows.with_columns(is_first=is_first, **winner, **own)
    losers = rows.filter(~pl.col("is_first")).with_columns(
        started_hour=hour_of(pl.col("started_at")),
        request_id=pl.col("dedupe_key"),
        reason=pl.lit("redelivered"),
        winner_file_hash=pl.when("is_asked").then("own_file_hash").otherwise("winner_file_hash"),
        winner_line_number=pl.when("is_asked").then("own_line_number").otherwise("winner_line_number"),
    )
    return (
        table("raw.usage_counters").conform(rows.filter("is_first")),
        table("ops.counter_duplicates").conform(losers),
    )
