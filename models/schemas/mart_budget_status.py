import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import MONTH_ON, THRESHOLDS_PERCENT

TABLE = Table(
    schema="mart",
    name="budget_status",
    grain="One row per budget x month: how far it is spent, how fast, and when it runs out",
    columns=(
        MONTH_ON,
        Column(name="budget", dtype=pl.String, comment="Budget", required=True),
        Column(name="period_from", dtype=pl.Date, comment="First day of the month, quarter or year that it is for", required=True),
        Column(name="period_to", dtype=pl.Date, comment="Day after its last", required=True),
        Column(name="as_of_on", dtype=pl.Date, comment="Last business day that is counted", required=True),
        Column(name="budget_usd", dtype=USD, comment="Dollars of the period", required=True),
        Column(name="month_to_date_usd", dtype=USD, comment="Spent in the month so far", required=True),
        Column(name="spent_usd", dtype=USD, comment="Spent in the period so far, corrections and true-ups apart", required=True),
        Column(name="remaining_usd", dtype=USD, comment="budget_usd less spent_usd", required=True),
        Column(name="spent_ratio", dtype=pl.Float64, comment="spent_usd / budget_usd; NULL for a budget of 0. Never summed"),
        Column(name="burn_usd_per_day", dtype=USD, comment="Average of the last 7 days that are counted (of the period)", required=True),
        Column(name="projected_usd", dtype=USD, comment="Spent at the end of the period at that rate", required=True),
        Column(name="run_out_on", dtype=pl.Date, comment="Day on which it was spent, or will be at that rate; NULL: not in the period"),
        THRESHOLDS_PERCENT,
        Column(name="reached_on", dtype=pl.List(pl.Date), comment="Of each threshold the day on which it was reached; NULL: not yet", required=True),
        Column(name="reached_percent", dtype=pl.Int64, comment="Highest threshold that is reached; NULL: none"),
        Column(name="unpriced_tokens", dtype=pl.Int64, comment="Tokens of the period without a price: in no dollars", required=True),
    ),
    key=("month_on", "budget"),
    partition="month_on",
    overlaps="Budgets overlap, and each row is a month to date: filter by budget.",
)  # fmt: skip
