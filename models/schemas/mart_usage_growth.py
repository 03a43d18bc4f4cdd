import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import MONTH_ON

GROWTH_SCOPES = ("total", "provider", "family", "developer", "weights", "tenant", "team", "route", "feature")

_GROWTH = {
    "tokens": "tokens a day",
    "requests": "logical requests a day",
    "usd": "available dollars a day",
}
_SPANS = {"month": "the month before", "year": "the same month a year before"}

TABLE = Table(
    schema="mart",
    name="usage_growth",
    grain="One row per month x scope: what was used and what it cost, beside the month and the year before",
    columns=(
        MONTH_ON,
        Column(
            name="scope_kind",
            dtype=pl.String,
            comment="What the scope is: scopes of one kind never overlap; weights are open, proprietary or unknown",
            required=True,
            one_of=GROWTH_SCOPES,
        ),
        Column(name="scope", dtype=pl.String, comment="Name of the scope", required=True),
        Column(
            name="day_count",
            dtype=pl.Int64,
            comment="Business days of the month that the warehouse holds",
            required=True,
            at_least=1,
        ),
        Column(name="request_count", dtype=pl.Int64, comment="Logical requests", required=True),
        Column(name="total_tokens", dtype=pl.Int64, comment="All token classes", required=True),
        Column(
            name="unpriced_tokens",
            dtype=pl.Int64,
            comment="Part of total_tokens without a price: in no dollars",
            required=True,
        ),
        Column(
            name="available_usd",
            dtype=USD,
            comment="Dollars of usage and of GPU pools; charges without a request apart. NULL when nothing is priced",
        ),
        *(
            Column(name=f"{name}_a_day", dtype=pl.Float64, comment=f"Average: {meaning}. Never summed")
            for name, meaning in _GROWTH.items()
        ),
        *(
            column
            for span, meaning in (
                ("before", "the month before"),
                ("year_before", "the same month a year before"),
            )
            for column in (
                Column(
                    name=f"{span}_day_count",
                    dtype=pl.Int64,
                    comment=f"Business days of {meaning} that the warehouse holds; NULL: none",
                ),
                Column(name=f"{span}_tokens", dtype=pl.Int64, comment=f"total_tokens of {meaning}"),
                Column(name=f"{span}_usd", dtype=USD, comment=f"available_usd of {meaning}"),
            )
        ),
        *(
            Column(
                name=f"{name}_{span}_ratio",
                dtype=pl.Float64,
                comment=f"Growth of {meaning} since {since}: 0.1 is 10 % more; NULL when there was none. Never summed",
            )
            for span, since in _SPANS.items()
            for name, meaning in _GROWTH.items()
        ),
    ),
    key=("month_on", "scope_kind", "scope"),
    partition="month_on",
    overlaps="Scopes of several kinds overlap: filter by scope_kind.",
)
