import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import FILE_HASH, SOURCE

TABLE = Table(
    schema="ops",
    name="file_hours",
    grain="One row per landed file x UTC hour that it touches",
    columns=(
        FILE_HASH,
        SOURCE,
        Column(
            name="touched_hour", dtype=INSTANT, comment="UTC hour of started_at (or event_at)", required=True
        ),
        Column(
            name="last_finished_at",
            dtype=INSTANT,
            comment="Latest end of a request that started in that hour",
        ),
        Column(
            name="record_count", dtype=pl.Int64, comment="Usable records, duplicates included", required=True
        ),
        Column(name="landed_at", dtype=INSTANT, comment="When the file was landed, UTC", required=True),
        Column(
            name="landed_snapshot",
            dtype=pl.Int64,
            comment="Snapshot of the lake in which the records came, or went; NULL: not kept",
        ),
    ),
    key=("file_hash", "source", "touched_hour"),
)
