import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import BILLED_ON
from models.schemas.invoice_columns import UNIT_PRICE, invoice_line_columns
from models.schemas.vocabulary import place_columns

TABLE = Table(
    schema="core",
    name="invoice_lines",
    grain="One row per line of a bill in force: of a restated month only the latest delivery",
    columns=(
        BILLED_ON,
        *invoice_line_columns(),
        Column(
            name="canonical_model",
            dtype=pl.String,
            comment="Model by the price book's name; NULL: the book does not know it",
        ),
        Column(
            name="unit_price",
            dtype=UNIT_PRICE,
            comment="billed_cost of a single unit; NULL without a quantity",
        ),
        Column(
            name="usd",
            dtype=USD,
            comment="billed_cost in dollars, at the rate of the charge's day; NULL without an exchange rate",
        ),
        Column(name="fx_usd_per_unit", dtype=USD, comment="That rate; NULL for a bill in dollars"),
        Column(name="fx_on", dtype=pl.Date, comment="Date of that rate"),
        *place_columns("1-based line of the bill in that line of the file"),
    ),
    key=("file_hash", "line_number", "record_number"),
    partition="billed_on",
)
