import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    ACCRUED_HOUR,
    ACCRUED_ON_IN_ZONE,
    CHIP_WHERE_KNOWN,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    PAYING_TENANT,
    PROVIDER,
    REGION_OF_CALL,
    ROUTE_CHOSEN,
    SERVED_MODEL_NAME,
)
from models.schemas.vocabulary import token_columns


def cost_columns() -> tuple[Column, ...]:
    """Return the dimensions and measures that the hourly and the daily mart share."""
    return (
        PROVIDER,
        REGION_OF_CALL,
        ROUTE_CHOSEN,
        SERVED_MODEL_NAME,
        CHIP_WHERE_KNOWN,
        PAYING_TENANT,
        Column(
            name="request_count",
            dtype=pl.Int64,
            comment="Logical requests that began in this cell. One that fell back began where its first attempt ran: for a cost per call of a model, provider or route divide by attempt_count",
            required=True,
        ),
        Column(
            name="attempt_count",
            dtype=pl.Int64,
            comment="Attempts that began in this cell; gateway-cache hits excluded",
            required=True,
        ),
        Column(name="error_count", dtype=pl.Int64, comment="Attempts that failed", required=True),
        Column(
            name="gateway_cache_hit_count",
            dtype=pl.Int64,
            comment="Requests that the gateway answered itself",
            required=True,
        ),
        *token_columns(),
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        Column(
            name="total_tokens",
            dtype=pl.Int64,
            comment="All classes, of unpriced attempts too: a rate divides by priced_tokens",
            required=True,
        ),
        Column(name="unpriced_tokens", dtype=pl.Int64, comment="Tokens of unpriced attempts", required=True),
        Column(
            name="priced_tokens",
            dtype=pl.Int64,
            comment="Tokens of priced and free attempts: the divisor of a rate, as in usd_per_mtok(usage_usd, priced_tokens)",
        ),
        Column(
            name="priced_input_tokens",
            dtype=pl.Int64,
            comment="Input tokens that input_usd covers: the divisor of input_usd_per_mtok, so that cells roll up",
        ),
        Column(
            name="priced_output_tokens",
            dtype=pl.Int64,
            comment="Output tokens that output_usd covers: the divisor of output_usd_per_mtok",
        ),
        Column(name="unpriced_count", dtype=pl.Int64, comment="Unpriced attempts", required=True),
        Column(
            name="priced_ratio",
            dtype=pl.Float64,
            comment="Share of attempts that are priced or free; NULL without attempts. Never summed",
        ),
        Column(
            name="usage_usd",
            dtype=USD,
            comment="Effective dollars of priced and free rows, serving only for pools; NULL when nothing is priced",
        ),
        Column(name="input_usd", dtype=USD, comment="Part of usage_usd for input tokens"),
        Column(name="output_usd", dtype=USD, comment="Part of usage_usd for output tokens"),
        Column(
            name="usage_usd_per_mtok",
            dtype=pl.Float64,
            comment="1e6 x usage_usd / tokens of priced and free rows. Never summed",
        ),
        Column(
            name="input_usd_per_mtok",
            dtype=pl.Float64,
            comment="1e6 x input_usd / input tokens of priced and free rows. Never summed",
        ),
        Column(
            name="output_usd_per_mtok",
            dtype=pl.Float64,
            comment="1e6 x output_usd / output tokens of priced and free rows. Never summed",
        ),
        Column(
            name="estimated_usd",
            dtype=USD,
            comment="Estimate for the unpriced rows: shown apart, never summed in",
        ),
        Column(name="saved_usd", dtype=USD, comment="What gateway-cache hits would have cost: shown apart"),
        Column(
            name="fallback_premium_usd",
            dtype=USD,
            comment="Extra dollars of fallbacks over the requested model",
        ),
    )


TABLE = Table(
    schema="mart",
    name="cost_per_token_hourly",
    grain="One row per accrued_hour x accrued_on x provider x region x route x model x chip x tenant",
    columns=(
        ACCRUED_HOUR,
        ACCRUED_ON_IN_ZONE,
        *cost_columns(),
    ),
    key=("accrued_hour", "accrued_on", "provider", "region", "route", "model", "chip", "tenant"),
    partition="accrued_hour",
)
