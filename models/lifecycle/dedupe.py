"""One lifecycle event delivered twice is one event: same replica, event and instant.

A replica is its source, its cluster or else its region, and its id; a pod of Kubernetes is its uid, whoever tells it.

The one that knows most stays; of those that know as much, one by content, never by the order of arrival. What it does
not know (a watch tells no chip, a list that holds the nodes does) it takes from the others, in the same order.
"""

from datetime import datetime

import polars as pl

from models.periods import hour_of
from models.schemas import table

_BOOKKEEPING = ("source", "source_kind", "ingested_at", "file_hash", "line_number", "record_number")
_KUBERNETES = "k8s_"
_FACTS = (
    "deployment",
    "model",
    "chip",
    "chip_count",
    "fraction",
    "provider",
    "region",
    "cluster",
    "commitment",
    "node",
    "reason",
    "replica_group",
    "is_group_head",
)


def dedupe_events(
    events: pl.LazyFrame, *, from_hour: datetime, to_hour: datetime
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Split landed events of [from_hour, to_hour) into rows of core.replica_events and ops.event_duplicates."""
    hours = events.with_columns(event_hour=hour_of(pl.col("event_at")))
    hours = hours.filter((pl.col("event_hour") >= from_hour) & (pl.col("event_hour") < to_hour))
    content = pl.struct(pl.exclude(_BOOKKEEPING)).hash()
    place = pl.coalesce("cluster", "region")
    place = pl.coalesce(place, place.drop_nulls().first().over("source", "dedupe_key"))
    # Two sources that read one file tell of the same replicas.
    reader = pl.col("source").min().over("source_kind", "file_hash")
    identity = pl.when(~pl.col("source_kind").str.starts_with(_KUBERNETES)).then(
        pl.concat_str(reader, place, separator="|", ignore_nulls=True)
    )
    hours = (
        hours.with_columns(content=content)
        .with_columns(dedupe_key=pl.concat_str("dedupe_key", identity, separator="|", ignore_nulls=True))
        .with_columns(known=pl.sum_horizontal(pl.col(name).is_not_null() for name in _FACTS))
        .sort(
            *("dedupe_key", "known", "content", "source", "file_hash", "line_number", "record_number"),
            descending=[False, True, False, False, False, True, True],
        )
        # What it says was known when it was read first.
        .with_columns(ingested_at=pl.col("ingested_at").min().over("dedupe_key", "content"))
    )
    is_first = pl.int_range(pl.len()).over("dedupe_key") == 0
    first = {
        f"winner_{name}": pl.col(name).first().over("dedupe_key")
        for name in ("source", "file_hash", "line_number")
    }
    losers = hours.with_columns(is_first=is_first, **first).filter(~pl.col("is_first"))
    losers = losers.with_columns(
        started_hour=pl.col("event_hour"),
        request_id=pl.col("replica_id"),
        reason=pl.when(pl.col("source") == pl.col("winner_source"))
        .then(pl.lit("redelivered"))
        .otherwise(pl.lit("seen_by_another_source")),
    )
    known = (pl.col(name).drop_nulls().first().over("dedupe_key") for name in _FACTS)
    winners = hours.with_columns(*known).filter(is_first)
    return (
        table("core.replica_events").conform(winners),
        table("ops.event_duplicates").conform(losers),
    )
