import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import FIRST_READ_AT
from models.schemas.invoice_columns import invoice_line_columns
from models.schemas.vocabulary import place_columns

TABLE = Table(
    schema="raw",
    name="invoice_lines",
    grain="One row per usable line of a landed bill, every delivery of it",
    columns=(
        *invoice_line_columns(),
        FIRST_READ_AT,
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
