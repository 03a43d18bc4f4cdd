import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.mart_cost_per_token_hourly import cost_columns

TABLE = Table(
    schema="mart",
    name="cost_per_token_daily",
    grain="One row per accrued_on x provider x region x route x model x chip x tenant, and one (unallocated) row per pool-day without traffic",
    columns=(
        Column(
            name="accrued_on",
            dtype=pl.Date,
            comment="Business date in the reporting zone; the partition",
            required=True,
        ),
        *cost_columns(),
        Column(
            name="available_usd",
            dtype=USD,
            comment="All billed cost: usage plus the pool-day's starting, idle, draining, failed, padding and unused dollars by allocation weight",
        ),
        Column(
            name="available_usd_per_mtok",
            dtype=pl.Float64,
            comment="1e6 x available_usd / tokens of priced and free rows. Never summed",
        ),
        Column(
            name="is_provisional",
            dtype=pl.Boolean,
            comment="Whether later finishers may still move the figure",
            required=True,
        ),
    ),
    key=("accrued_on", "provider", "region", "route", "model", "chip", "tenant"),
    partition="accrued_on",
)
