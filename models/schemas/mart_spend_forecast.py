import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import SCOPE

SCOPE_KINDS = ("total", "provider", "tenant", "team")
METHODS = {
    "daily_mean": "the average day: there are fewer than two weeks to learn from",
    "seasonal_naive": "the last week again and again: the baseline",
    "weekday_means": "the average of the last four of each weekday",
    "weekday_trend": "the same, with the trend of the last four weeks, damped",
}

TABLE = Table(
    schema="mart",
    name="spend_forecast",
    grain="One row per month in which it is made x scope x month that it is for x scenario",
    columns=(
        Column(name="month_on", dtype=pl.Date, comment="First business day of the month in which it is made; the partition", required=True),
        Column(name="as_of_on", dtype=pl.Date, comment="Last business day that it knows", required=True),
        Column(name="scope_kind", dtype=pl.String, comment="What it is for", required=True, one_of=SCOPE_KINDS),
        SCOPE,
        Column(name="target_on", dtype=pl.Date, comment="First day of the month that is foretold: that month, and the next three", required=True),
        Column(name="scenario", dtype=pl.String, comment="as_is, or a scenario of budgets.yml", required=True),
        Column(name="actual_usd", dtype=USD, comment="Spent in the target month by as_of_on; in the forecast", required=True),
        Column(name="forecast_usd", dtype=USD, comment="Spend of the whole target month; NULL: a price of the scenario is not known"),
        Column(name="low_usd", dtype=USD, comment="Lower end of the range that holds it 8 times of 10; NULL: too short a history"),
        Column(name="high_usd", dtype=USD, comment="Its upper end"),
        Column(name="method", dtype=pl.String, comment="How it is made: the baseline, unless another beat it in the back-test", required=True, one_of=tuple(METHODS)),
        Column(name="back_test_error_ratio", dtype=pl.Float64, comment="Mean absolute error of the method / mean spend, over earlier weeks; NULL: too short a history. Never summed"),
        Column(name="baseline_error_ratio", dtype=pl.Float64, comment="The same of the baseline. Never summed"),
        Column(name="back_test_count", dtype=pl.Int64, comment="Times that it was put to the test", required=True),
        Column(name="history_days", dtype=pl.Int64, comment="Days that it learned from", required=True),
    ),
    key=("month_on", "scope_kind", "scope", "target_on", "scenario"),
    partition="month_on",
    overlaps="Scopes and scenarios overlap: filter by scope_kind, scope and scenario.",
)  # fmt: skip
