import polars as pl

from models.schemas.base import Column, Table
from models.schemas.vocabulary import canonical_event_columns

TABLE = Table(
    schema="raw",
    name="replica_events",
    grain="One row per usable lifecycle record of a landed file, duplicates included",
    columns=(
        *canonical_event_columns(),
        Column(name="dedupe_key", dtype=pl.String, comment="Replica, event and instant", required=True),
    ),
    key=("file_hash", "line_number", "record_number"),
)
