import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import FILE_HASH, SOURCE

TABLE = Table(
    schema="ops",
    name="quarantine",
    grain="One row per record that could not be used; never its text",
    columns=(
        FILE_HASH,
        SOURCE,
        Column(name="path", dtype=pl.String, comment="File path", required=True),
        Column(name="line_number", dtype=pl.Int64, comment="1-based line or row", required=True),
        Column(
            name="record_number",
            dtype=pl.Int32,
            comment="1-based record in that line; 0 where no record of the line could be told apart",
            required=True,
        ),
        Column(
            name="byte_offset",
            dtype=pl.Int64,
            comment="Where the line starts in the unpacked file; NULL for rows of binary formats",
        ),
        Column(
            name="byte_length", dtype=pl.Int64, comment="Length of the line; NULL for rows of binary formats"
        ),
        Column(
            name="reason",
            dtype=pl.String,
            comment="One reason: invalid_json, not_an_object, wrong_encoding, duplicate_key, record_too_long, missing_started_at, missing_request_id, negative_tokens, tokens_do_not_add_up, bad_value, before_start_on, in_the_future, ...",
            required=True,
        ),
        Column(
            name="detail",
            dtype=pl.String,
            comment="The column and what was wrong, without values of free text",
        ),
        Column(name="skeleton", dtype=pl.String, comment="Keys and types of the record, never values"),
        Column(name="quarantined_at", dtype=INSTANT, comment="When, UTC", required=True),
    ),
    key=("file_hash", "source", "line_number", "record_number"),
)
