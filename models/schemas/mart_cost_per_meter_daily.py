import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    ACCRUED_ON_PARTITION,
    MODEL,
    PROVIDER,
    REGION_OF_CALL,
    SERVICE_TIER,
    TEAM,
    TENANT,
)

TABLE = Table(
    schema="mart",
    name="cost_per_meter_daily",
    grain="One row per business day x UTC day x source x provider x model x region x service tier x tenant x team x meter: what bills are held against",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(name="utc_on", dtype=pl.Date, comment="UTC date, by which most issuers bill", required=True),
        PROVIDER,
        MODEL,
        REGION_OF_CALL,
        SERVICE_TIER,
        Column(name="source", dtype=pl.String, comment="Configured source of the log"),
        TENANT,
        TEAM,
        Column(
            name="fx_usd_per_unit",
            dtype=USD,
            comment="Dollars that a unit of the price's currency cost; NULL for a price in dollars",
        ),
        Column(
            name="meter",
            dtype=pl.String,
            comment="Token class, or a meter that is not tokens (web_search, ...)",
            required=True,
        ),
        Column(
            name="quantity",
            dtype=pl.Decimal(38, 6),
            comment="Priced and free units: tokens, calls, seconds or images, as the meter says; summed within a meter",
            required=True,
        ),
        Column(
            name="unpriced_quantity",
            dtype=pl.Decimal(38, 6),
            comment="Units without a price; summed within a meter",
            required=True,
        ),
        Column(name="usage_usd", dtype=USD, comment="Dollars of the priced units", required=True),
        Column(
            name="list_usd",
            dtype=USD,
            comment="The same at list prices; of a meter under a contract by its share of an attempt's cost",
        ),
    ),
    key=(
        "accrued_on", "utc_on", "source", "provider", "model", "region", "service_tier", "tenant", "team",
        "fx_usd_per_unit", "meter",
    ),
    partition="accrued_on",
)  # fmt: skip
