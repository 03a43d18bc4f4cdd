import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.invoice_columns import invoice_line_columns
from models.schemas.vocabulary import place_columns

TABLE = Table(
    schema="raw",
    name="invoice_lines",
    grain="One row per usable line of a landed bill, every delivery of it",
    columns=(
        *invoice_line_columns(),
        Column(name="ingested_at", dtype=INSTANT, comment="When it was first read", required=True),
        *place_columns("1-based line of the bill in that line of the file"),
        Column(
            name="dedupe_key",
            dtype=pl.String,
            comment="What the line bills: of APIs that deliver single days again, equal ones are one",
            required=True,
        ),
    ),
    key=("file_hash", "line_number", "record_number"),
)
