"""Objects of vendors as lifecycle: when each phase of a replica began, or how many replicas there are.

Two builders of importers. `lifecycle_importer` reads objects of one replica. `count_importer` reads what is known of a
deployment only as a number at an instant; its replicas are called `deployment#1` and up, the last one stops first.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from models.records import Importer, bad_numbers, first_reason, instant, integer, record_number, text

_TEXTS = ("replica_id", "deployment", "model", "chip", "provider", "region", "cluster", "commitment", "node")
_MOST_REPLICAS = 10_000
Event = tuple[str, str, str]
"""An event, SQL of the text of its instant, and SQL of its reason."""
FEWER_AT_MOST = 16
"""How many replicas more than a file's first record counts may have run before it: those are told to have stopped."""


def _facts(facts: Mapping[str, str]) -> str:
    """SQL of the facts of a replica, NULL where an object has none."""
    return ", ".join(f"{text('(' + facts.get(name, 'NULL') + ')::VARCHAR')} AS {name}" for name in _TEXTS)


def lifecycle_importer(
    kind: str,
    *,
    columns: Mapping[str, str],
    facts: Mapping[str, str],
    events: Sequence[Event],
    signature: tuple[frozenset[str], ...],
    ignored: str = "false",
    source: str = "records",
    rank: int = 30,
) -> Importer:
    """Return the importer of objects of one replica each.

    Args:
        kind: name of the format.
        columns: fields that are read, with their DuckDB types.
        facts: SQL of canonical columns; `chip_count` is text.
        events: what an object tells; those without an instant are left out.
        signature: what tells the format.
        ignored: SQL of whether an object is no replica.
        source: SQL of the relation with one row an object; `records` or a subquery over it.
        rank: place in the order of detection.
    """
    listed = ", ".join(
        f"{{'event': '{event}', 'at': ({at})::VARCHAR, 'reason': ({reason})::VARCHAR}}"
        for event, at, reason in events
    )
    select = f"""
WITH facts AS NOT MATERIALIZED (
  SELECT line_number, {_facts(facts)}, ({facts.get("chip_count", "NULL")})::VARCHAR AS chips,
         coalesce({ignored}, false) AS is_ignored,
         list_filter([{listed}], lambda e: e.at IS NOT NULL AND e.at <> '') AS events
  FROM {source}
)
SELECT * EXCLUDE (events, found), found.event AS event, found.reason AS reason, found.at AS at_text,
       {instant("found.at")} AS event_at, {integer("chips")} AS chip_count,
       {bad_numbers({"chip_count": text("chips")})} AS bad_numbers
FROM (SELECT *, unnest(CASE WHEN len(events) > 0 THEN events ELSE [NULL] END) AS found FROM facts)
"""
    return Importer(
        kind=kind,
        table="raw.replica_events",
        columns=dict(columns),
        select=select,
        canonical=_canonical,
        formats=("jsonl",),
        signature=signature,
        rank=rank,
    )


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        *_reasons(pl.col("event_at"), pl.col("at_text"), instant_named="no event has a time"),
        record_number=record_number(),
        dedupe_key=_key(),
    )


def _reasons(at: pl.Expr, written: pl.Expr, *, instant_named: str) -> list[pl.Expr]:
    return first_reason(
        (pl.col("replica_id").is_null(), "missing_replica_id", "replica_id"),
        (pl.col("deployment").is_null(), "missing_deployment", "deployment"),
        (at.is_null() & written.is_not_null(), "bad_value", "a time is no instant"),
        (at.is_null(), "missing_event_at", instant_named),
        (pl.col("bad_numbers").is_not_null(), "bad_value", pl.col("bad_numbers")),
        (pl.col("chip_count").fill_null(1) < 1, "bad_value", "chip_count"),
    )


def _key() -> pl.Expr:
    at = pl.col("event_at").dt.epoch("us").cast(pl.String)
    return pl.concat_str("replica_id", pl.lit("|"), "event", pl.lit("|"), at)


def count_importer(
    kind: str,
    *,
    columns: Mapping[str, str],
    facts: Mapping[str, str],
    observed_at: str,
    ready: str,
    starting: str = "0",
    reason: str = "NULL",
    signature: tuple[frozenset[str], ...],
    ignored: str = "false",
    source: str = "records",
    formats: tuple[str, ...] = ("jsonl",),
    takes_columns: bool = False,
    rank: int = 30,
) -> Importer:
    """Return the importer of numbers of replicas at instants.

    Of two records of one deployment the later tells what changed: the numbers between are replicas that were requested,
    turned ready or stopped at its instant. A record that changes nothing is ignored. Records are read together as far
    as a file goes, so that polls are appended to one file a day or more.

    Args:
        kind: name of the format.
        columns: fields that are read, with their DuckDB types.
        facts: SQL of canonical columns, `replica_id` excepted.
        observed_at: SQL of the instant as text.
        ready: SQL of how many replicas are ready, as text.
        starting: SQL of how many more have been asked for, as text.
        reason: SQL of why replicas start.
        signature: what tells the format.
        ignored: SQL of whether a record counts no replicas.
        source: SQL of the relation with one row a deployment and instant.
        formats: file formats.
        takes_columns: whether a source may rename fields.
        rank: place in the order of detection.
    """
    select = f"""
WITH facts AS NOT MATERIALIZED (
  SELECT line_number, {_facts({"replica_id": facts["deployment"], **facts})},
         ({facts.get("chip_count", "NULL")})::VARCHAR AS chips, ({observed_at})::VARCHAR AS at_text,
         ({ready})::VARCHAR AS ready_text, coalesce(({starting})::VARCHAR, '0') AS starting_text,
         ({reason})::VARCHAR AS reason, coalesce({ignored}, false) AS is_passed_over
  FROM {source}
)
SELECT *, {instant("at_text")} AS event_at, {integer("chips")} AS chip_count, {integer("ready_text")} AS ready_count,
       {integer("starting_text")} AS starting_count,
       {bad_numbers({"chip_count": text("chips"), "ready": text("ready_text"), "starting": text("starting_text")})}
         AS bad_numbers
FROM facts
"""
    return Importer(
        kind=kind,
        table="raw.replica_events",
        columns=dict(columns),
        select=select,
        canonical=_counted,
        formats=formats,
        signature=signature,
        takes_columns=takes_columns,
        rank=rank,
        is_joint=True,
    )


def _counted(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn counts into events of numbered replicas."""
    is_odd = (
        (pl.col("ready_count") < 0)
        | (pl.col("starting_count") < 0)
        | (pl.col("ready_count") > _MOST_REPLICAS)
    )
    judged = frame.with_row_index("row").with_columns(
        *first_reason(
            (pl.col("deployment").is_null(), "missing_deployment", "deployment"),
            (
                pl.col("event_at").is_null() & pl.col("at_text").is_not_null(),
                "bad_value",
                "a time is no instant",
            ),
            (pl.col("event_at").is_null(), "missing_event_at", "when the replicas were counted"),
            (pl.col("bad_numbers").is_not_null(), "bad_value", pl.col("bad_numbers")),
            (pl.col("ready_count").is_null(), "missing_count", "how many replicas are ready"),
            (is_odd.fill_null(value=False), "bad_value", "how many replicas are ready"),
            (pl.col("chip_count").fill_null(1) < 1, "bad_value", "chip_count"),
        )
    )
    is_good = pl.col("quarantine_reason").is_null() & ~pl.col("is_passed_over")
    of = ("deployment", "cluster", "region")
    asked = pl.col("ready_count") + pl.col("starting_count").fill_null(0)
    counted = (
        judged.filter(is_good)
        .sort(*of, "event_at", "row", nulls_last=True)
        .with_columns(asked.alias("asked"))
        .with_columns(
            (pl.int_range(pl.len()).over(of) == 0).alias("is_first"),
            pl.col("asked").shift(1).over(of).fill_null(0).alias("asked_before"),
            pl.col("ready_count").shift(1).over(of).fill_null(0).alias("ready_before"),
        )
        .with_columns(
            # What ran before the file began may be less now.
            pl.when("is_first")
            .then(pl.col("asked") + FEWER_AT_MOST)
            .otherwise("asked_before")
            .alias("ran_before"),
            # One that was ready before and is not now starts again under its number; it is not told.
            pl.max_horizontal("ready_before", pl.min_horizontal("ready_count", "asked")).alias("ready_upto"),
        )
    )
    # A replica that turns ready is told as requested too: a bare start soon after a stop would be one life with it.
    spans = {
        "requested": ("asked_before", "asked"),
        "ready": ("ready_before", "ready_upto"),
        "stopped": ("asked", "ran_before"),
    }
    events = [
        counted.filter(pl.col(low) < pl.col(high))
        .with_columns(
            pl.int_ranges(pl.col(low) + 1, pl.col(high) + 1).alias("place"), pl.lit(name).alias("event")
        )
        .explode("place")
        .with_columns(
            pl.concat_str("deployment", "place", separator="#").alias("replica_id"),
            pl.when(pl.lit(name == "requested")).then("reason").alias("reason"),
            pl.lit(value=False).alias("is_ignored"),
        )
        for name, (low, high) in spans.items()
    ]
    silent = judged.filter(~is_good).with_columns(
        pl.col("is_passed_over").alias("is_ignored"), pl.lit(None, dtype=pl.String).alias("event")
    )
    changed = pl.concat(events)
    still = counted.join(changed.select("row").unique(), on="row", how="anti").with_columns(
        pl.lit(value=True).alias("is_ignored"), pl.lit(None, dtype=pl.String).alias("event")
    )
    whole = pl.concat([changed, silent, still], how="diagonal").sort("line_number", "row", "event", "place")
    return whole.with_columns(
        record_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("line_number"),
        dedupe_key=_key(),
    )
