import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ops",
    name="duplicates",
    grain="One row per record that lost to another record of the same attempt, or that sums others",
    columns=(
        Column(
            name="started_hour",
            dtype=INSTANT,
            comment="UTC hour of the removed record; the partition",
            required=True,
        ),
        Column(name="dedupe_key", dtype=pl.String, comment="Key that both records share", required=True),
        Column(name="file_hash", dtype=pl.String, comment="File of the removed record", required=True),
        Column(name="line_number", dtype=pl.Int64, comment="Its line", required=True),
        Column(name="record_number", dtype=pl.Int32, comment="Its record in that line", required=True),
        Column(name="source", dtype=pl.String, comment="Its source", required=True),
        Column(
            name="request_id",
            dtype=pl.String,
            comment="Its request_id (replica_id for an event, dedupe_key for a count)",
            required=True,
        ),
        Column(
            name="winner_source", dtype=pl.String, comment="Source of the record that stayed", required=True
        ),
        Column(
            name="winner_file_hash", dtype=pl.String, comment="File of the record that stayed", required=True
        ),
        Column(name="winner_line_number", dtype=pl.Int64, comment="Its line", required=True),
        Column(
            name="reason",
            dtype=pl.String,
            comment="redelivered (same source), seen_by_another_source; of spans: sum_of_parts and sum_without_parts (an "
            "agent, a chain or a framework that repeats the calls beneath it), told_by_its_caller",
            required=True,
        ),
    ),
    key=("source", "file_hash", "line_number", "record_number"),
    partition="started_hour",
)
