import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, SOURCE

TABLE = Table(
    schema="ops",
    name="coverage",
    grain="One row per business day x source: how far the figures can be trusted",
    columns=(
        ACCRUED_ON_PARTITION,
        SOURCE,
        Column(name="attempt_count", dtype=pl.Int64, comment="Attempts", required=True),
        Column(name="priced_count", dtype=pl.Int64, comment="Attempts priced", required=True),
        Column(name="free_count", dtype=pl.Int64, comment="Attempts declared free", required=True),
        Column(name="unpriced_count", dtype=pl.Int64, comment="Attempts without a price", required=True),
        Column(name="unpriced_tokens", dtype=pl.Int64, comment="Their tokens", required=True),
        Column(
            name="unpriced_estimated_usd",
            dtype=USD,
            comment="Their estimate, never summed in; NULL when none can be made",
        ),
        Column(
            name="assumed_rate_count",
            dtype=pl.Int64,
            comment="Attempts priced with a rate that no sheet states (cache reads, images, video at the input rate) or for a place that is not told",
        ),
        Column(
            name="old_price_count",
            dtype=pl.Int64,
            comment="Attempts priced by a list that was last read 30 days or more before the day",
        ),
        Column(
            name="oldest_price_on",
            dtype=pl.Date,
            comment="Day on which the oldest list that priced one was read",
        ),
        Column(
            name="provider_usage_count",
            dtype=pl.Int64,
            comment="Attempts whose usage the provider reported",
            required=True,
        ),
        Column(
            name="estimated_usage_count",
            dtype=pl.Int64,
            comment="Attempts whose usage is estimated",
            required=True,
        ),
        Column(name="missing_usage_count", dtype=pl.Int64, comment="Attempts without usage", required=True),
        Column(
            name="duplicate_count", dtype=pl.Int64, comment="Records removed as duplicates", required=True
        ),
        Column(
            name="quarantined_count",
            dtype=pl.Int64,
            comment="Records quarantined in files that touch the day",
            required=True,
        ),
        Column(
            name="late_count",
            dtype=pl.Int64,
            comment="Attempts first read more than a day after they started",
            required=True,
        ),
        Column(
            name="unread_usage_count",
            dtype=pl.Int64,
            comment="Attempts whose usage has a field that holds a number and that no rule reads",
        ),
        Column(
            name="unread_usage_example",
            dtype=pl.String,
            comment="Kind and path of such a field, the most frequent one; the others are in core.requests",
        ),
        Column(name="priced_ratio", dtype=pl.Float64, comment="(priced + free) / attempts. Never summed"),
        Column(
            name="measured_ratio",
            dtype=pl.Float64,
            comment="Attempts with provider usage / attempts. Never summed",
        ),
    ),
    key=("accrued_on", "source"),
    partition="accrued_on",
)
