import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import RATE_KNOWN_FROM

TABLE = Table(
    schema="ref",
    name="fx_rates",
    grain="One row per currency x date: dollars for one unit",
    columns=(
        Column(
            name="currency",
            dtype=pl.String,
            comment="ISO 4217 code, or a unit that a contract prices: DBU, CREDIT",
            required=True,
        ),
        Column(name="rate_on", dtype=pl.Date, comment="Date of the rate", required=True),
        Column(
            name="usd_per_unit",
            dtype=pl.Decimal(38, 12),
            comment="Dollars for one unit of the currency",
            required=True,
        ),
        RATE_KNOWN_FROM,
        Column(
            name="source_url",
            dtype=pl.String,
            comment="Where the rate was published, or the file that states it",
            required=True,
        ),
    ),
    key=("currency", "rate_on", "known_from"),
)
