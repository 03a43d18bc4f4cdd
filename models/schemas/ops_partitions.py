import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ops",
    name="partitions",
    grain="One row per table x partition: the run that wrote it and when; the place of run ids and load times",
    columns=(
        Column(name="table_name", dtype=pl.String, comment="Table", required=True),
        Column(
            name="partition_key",
            dtype=pl.String,
            comment="Hour (ISO 8601, UTC), business date, or all",
            required=True,
        ),
        Column(name="row_count", dtype=pl.Int64, comment="Rows", required=True),
        Column(
            name="content_hash",
            dtype=pl.String,
            comment="Hash of the business columns in key order: equal hashes are equal bytes",
            required=True,
        ),
        Column(name="run_id", dtype=pl.String, comment="Run that wrote it last", required=True),
        Column(name="loaded_at", dtype=INSTANT, comment="When it was computed last, UTC", required=True),
        Column(name="changed_at", dtype=INSTANT, comment="When its content changed last, UTC", required=True),
        Column(
            name="read_snapshot",
            dtype=pl.Int64,
            comment="Newest snapshot of the lake that it was computed from; negative: to be computed again, since that "
            "snapshot; NULL: not kept",
        ),
        Column(name="written_snapshot", dtype=pl.Int64, comment="Snapshot in which it was computed last"),
        Column(name="changed_snapshot", dtype=pl.Int64, comment="Snapshot in which its content changed last"),
    ),
    key=("table_name", "partition_key"),
)
