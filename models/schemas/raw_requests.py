import polars as pl

from models.schemas.base import Column, Table
from models.schemas.vocabulary import canonical_request_columns

TABLE = Table(
    schema="raw",
    name="requests",
    grain="One row per usable request record of a landed file, duplicates included",
    columns=(
        *canonical_request_columns(),
        Column(
            name="dedupe_key",
            dtype=pl.String,
            comment="Provider response id, else gateway call id, else content hash with its ordinal among equals in the file",
            required=True,
        ),
    ),
    key=("file_hash", "line_number", "record_number"),
)
