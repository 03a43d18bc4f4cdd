"""Generic lifecycle events whose columns are the canonical ones."""

import polars as pl

from models.records import Importer, bad_numbers, first_reason, instant, integer, text
from models.schemas.vocabulary import REPLICA_EVENTS

KIND = "replica_events"

_TEXTS = (
    "replica_id",
    "deployment",
    "model",
    "chip",
    "provider",
    "region",
    "cluster",
    "commitment",
    "node",
    "event",
    "reason",
)

_WRITTEN = "replace(trim(fraction), ',', '.')"
_FRACTION = f"""CASE WHEN regexp_full_match(trim(fraction), '\\d+\\s*/\\s*\\d+')
  THEN TRY_CAST(split_part(fraction, '/', 1) AS DOUBLE) / nullif(TRY_CAST(split_part(fraction, '/', 2) AS DOUBLE), 0)
  WHEN regexp_full_match({_WRITTEN}, '\\d+(\\.\\d+)?\\s*%') THEN TRY_CAST(rtrim({_WRITTEN}, '% ') AS DOUBLE) / 100
  ELSE TRY_CAST({_WRITTEN} AS DOUBLE) END"""
"""SQL of a fraction: `0.142857`, `0,142857`, `1/7` or `14.3%`; NULL where it is none of them."""
_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{text(name)} AS {name}" for name in _TEXTS)},
       {instant("event_at")} AS event_at, {text("event_at")} IS NOT NULL AS has_instant,
       {integer("chip_count")} AS chip_count, {_FRACTION} AS fraction, {text("fraction")} IS NOT NULL AS has_fraction,
       {bad_numbers({"chip_count": text("chip_count")})} AS bad_numbers
FROM records
"""


def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Complete generic events, and say what is wrong with each."""
    # Below a millionth nothing is left of it; what is no share of a whole does not fit its type.
    is_share = pl.col("fraction").round(6).is_between(0, 1, closed="right").fill_null(value=False)
    instant_text = pl.col("event_at").dt.epoch("us").cast(pl.String)
    return frame.with_columns(
        *first_reason(
            (pl.col("replica_id").is_null(), "missing_replica_id", "replica_id"),
            (pl.col("deployment").is_null(), "missing_deployment", "deployment"),
            (pl.col("event_at").is_null() & pl.col("has_instant"), "bad_value", "event_at is no instant"),
            (pl.col("event_at").is_null(), "missing_event_at", "event_at"),
            (
                ~pl.col("event").is_in(REPLICA_EVENTS).fill_null(value=False),
                "bad_value",
                f"event is none of {', '.join(REPLICA_EVENTS)}",
            ),
            (pl.col("bad_numbers").is_not_null(), "bad_value", pl.col("bad_numbers")),
            (pl.col("chip_count").fill_null(1) < 1, "bad_value", "chip_count"),
            (
                # Below a millionth nothing is left of it.
                pl.col("has_fraction") & ~is_share,
                "bad_value",
                "fraction",
            ),
        ),
        fraction=pl.when(is_share).then("fraction").round(6).cast(pl.Decimal(9, 6)),
        dedupe_key=pl.concat_str("replica_id", pl.lit("|"), "event", pl.lit("|"), instant_text),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.replica_events",
    columns=dict.fromkeys((*_TEXTS, "event_at", "chip_count", "fraction"), "VARCHAR"),
    select=_SELECT,
    canonical=canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"replica_id", "event", "event_at"}),),
    rank=90,
    takes_columns=True,
)
