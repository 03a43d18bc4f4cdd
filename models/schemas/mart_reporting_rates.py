import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import MONTH_ON

TABLE = Table(
    schema="mart",
    name="reporting_rates",
    grain="One row per month x currency: the exchange rate at which the month is reported in it",
    columns=(
        MONTH_ON,
        Column(name="currency", dtype=pl.String, comment="ISO 4217 code", required=True),
        Column(
            name="usd_per_unit",
            dtype=USD,
            comment="Dollars for one unit: amounts in dollars are divided by it",
            required=True,
        ),
        Column(
            name="rate_on",
            dtype=pl.Date,
            comment="Date of the rate: the last on or before the month's last day",
            required=True,
        ),
        Column(name="source_url", dtype=pl.String, comment="Where the rate was published", required=True),
    ),
    key=("month_on", "currency"),
    partition="month_on",
)
