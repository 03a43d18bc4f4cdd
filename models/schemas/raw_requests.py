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
        Column(name="span_id", dtype=pl.String, comment="Span or observation of the record in its trace"),
        Column(
            name="parent_span_id",
            dtype=pl.String,
            comment="Nearest span above it that counts tokens; where none is in the file, the last one known above it",
        ),
        Column(
            name="is_sum",
            dtype=pl.Boolean,
            comment="Whether it sums the tokens of the calls beneath it (an agent, a chain, a workflow): no attempt",
        ),
    ),
    key=("file_hash", "line_number", "record_number"),
)
