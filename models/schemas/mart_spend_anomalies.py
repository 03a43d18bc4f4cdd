import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, SCOPE
from models.schemas.mart_spend_forecast import SCOPE_KINDS

ANOMALY_CAUSES = {
    "volume": "more or fewer tokens",
    "mix": "other models, providers, regions and chips",
    "rate": "another price of a token, with what caches and the share of output do to it; of GPUs another use of them",
    "new": "models and places that the day held against has not",
    "idle": "GPU time that waited",
    "cold_start": "GPU time of cold starts",
    "commitment": "committed GPUs that no replica used",
    "other": "draining, failed and unheld GPUs, the vendor's rounding, overhead",
}
"""Why a day's spend differs from that of the day that it is held against."""

TABLE = Table(
    schema="mart",
    name="spend_anomalies",
    grain="One row per business day x scope whose spend lies outside its range, with why",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(name="scope_kind", dtype=pl.String, comment="Whose spend it is", required=True, one_of=SCOPE_KINDS),
        SCOPE,
        Column(name="spend_usd", dtype=USD, comment="Spend of the day", required=True),
        Column(name="expected_usd", dtype=USD, comment="Median of the same weekday of the last four weeks (of the last week in the first weeks)", required=True),
        Column(name="low_usd", dtype=USD, comment="Lower end of what is usual", required=True),
        Column(name="high_usd", dtype=USD, comment="Upper end of what is usual", required=True),
        Column(name="excess_usd", dtype=USD, comment="spend_usd less expected_usd", required=True),
        Column(name="against_on", dtype=pl.Date, comment="The earlier day nearest to what is expected, which it is explained by", required=True),
        Column(name="against_usd", dtype=USD, comment="Spend of that day", required=True),
        *(
            Column(name=f"{name}_usd", dtype=USD, comment=f"Part of spend_usd - against_usd: {meaning}", required=True)
            for name, meaning in ANOMALY_CAUSES.items()
        ),
        Column(name="main_cause", dtype=pl.String, comment="Cause and cell that moved most in the direction of the anomaly", required=True),
        Column(name="main_provider", dtype=pl.String, comment="Its provider"),
        Column(name="main_model", dtype=pl.String, comment="Its model"),
    ),
    key=("accrued_on", "scope_kind", "scope"),
    partition="accrued_on",
    overlaps="Scopes overlap: filter by scope_kind.",
)  # fmt: skip
