import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.invoice_columns import invoice_line_columns

TABLE = Table(
    schema="raw",
    name="invoice_lines",
    grain="One row per usable line of a landed bill, every delivery of it",
    columns=(
        *invoice_line_columns(),
        Column(name="ingested_at", dtype=INSTANT, comment="When it was first read", required=True),
        Column(name="file_hash", dtype=pl.String, comment="Landed file", required=True),
        Column(
            name="line_number", dtype=pl.Int64, comment="1-based line in that file", required=True, at_least=1
        ),
        Column(
            name="record_number",
            dtype=pl.Int32,
            comment="1-based line of the bill in that line of the file",
            required=True,
            at_least=1,
        ),
        Column(
            name="dedupe_key",
            dtype=pl.String,
            comment="What the line bills: of APIs that deliver single days again, equal ones are one",
            required=True,
        ),
    ),
    key=("file_hash", "line_number", "record_number"),
)
