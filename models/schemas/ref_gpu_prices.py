import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import (
    CHIP,
    COMMITMENT,
    IS_ROUNDED,
    KNOWN_TO,
    RATE_KNOWN_FROM,
    RATE_VALID_FROM,
    RATE_VALID_TO,
    REGION_OF_PRICE,
    SHEET_LINE,
    SHEET_PATH,
    SHEET_VERSION,
    SOURCE_URL,
)

TABLE = Table(
    schema="ref",
    name="gpu_prices",
    grain="One row per vendor x chip x region x commitment x model x validity: a dated rate, with when it was known",
    columns=(
        Column(name="price_id", dtype=pl.String, comment="Price row", required=True),
        Column(name="provider", dtype=pl.String, comment="Vendor (a provider id)", required=True),
        CHIP,
        REGION_OF_PRICE,
        COMMITMENT,
        Column(
            name="model",
            dtype=pl.String,
            comment="Model of provisioned throughput whose units have this rate; NULL = any without one of its own",
        ),
        Column(name="usd_per_gpu_hour", dtype=pl.Decimal(38, 12), comment="Rate as printed", required=True),
        Column(
            name="picodollars_per_gpu_hour",
            dtype=pl.Int64,
            comment="Booked rate in whole picodollars",
            required=True,
            at_least=0,
        ),
        IS_ROUNDED,
        Column(name="granularity_seconds", dtype=pl.Int64, comment="Billing step", required=True, at_least=1),
        Column(
            name="minimum_seconds",
            dtype=pl.Int64,
            comment="Minimum billed per instance",
            required=True,
            at_least=0,
        ),
        Column(
            name="free_if_interrupted_within_seconds",
            dtype=pl.Int64,
            comment="An instance that the vendor takes back before it has run so long costs nothing; NULL = it is billed",
            at_least=1,
        ),
        Column(
            name="billed_phases",
            dtype=pl.List(pl.String),
            comment="Phases that the vendor bills: waiting, pulling, loading, serving, idle, draining, failed",
            required=True,
        ),
        RATE_VALID_FROM,
        RATE_VALID_TO,
        RATE_KNOWN_FROM,
        KNOWN_TO,
        SHEET_VERSION,
        SHEET_PATH,
        SHEET_LINE,
        SOURCE_URL,
    ),
    key=("price_id",),
)
