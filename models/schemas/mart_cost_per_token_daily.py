import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    DEVELOPER,
    ENVIRONMENT,
    FEATURE,
    IS_PROVISIONAL,
    MAY_SERVE_WEIGHTS,
    OPERATION,
    TEAM,
)
from models.schemas.mart_cost_per_token_hourly import cost_columns

TABLE = Table(
    schema="mart",
    name="cost_per_token_daily",
    grain="One row per accrued_on x cost_basis x provider x region x route x model x chip x tenant x team x feature x environment x service_tier x operation, and one (unallocated) row per pool-day without traffic",
    columns=(
        Column(
            name="accrued_on",
            dtype=pl.Date,
            comment="Business date in the reporting zone; the partition",
            required=True,
        ),
        Column(
            name="cost_basis",
            dtype=pl.String,
            comment="gpu (an owned pool) or token (an API); NULL on rows of before this column",
            one_of=("gpu", "token"),
        ),
        Column(
            name="family",
            dtype=pl.String,
            comment="Weights shared across providers; NULL when no sheet knows the model",
        ),
        DEVELOPER,
        MAY_SERVE_WEIGHTS,
        Column(
            name="is_locked_in",
            dtype=pl.Boolean,
            comment="Whether nobody else could serve the model: closed weights, and no other provider that the sheets have a price of; NULL: not known",
        ),
        TEAM,
        FEATURE,
        ENVIRONMENT,
        Column(name="service_tier", dtype=pl.String, comment="Served tier: default, batch, priority, ..."),
        OPERATION,
        *cost_columns(),
        Column(
            name="retry_count",
            dtype=pl.Int64,
            comment="Attempts after the first of their request, fallbacks excluded",
        ),
        Column(name="fallback_count", dtype=pl.Int64, comment="Attempts to which the router fell back"),
        Column(
            name="list_usd",
            dtype=USD,
            comment="usage_usd at list prices: what is above usage_usd is what contracts save",
        ),
        Column(
            name="failed_usd", dtype=USD, comment="Part of usage_usd: attempts that failed; NULL: none cost"
        ),
        Column(
            name="cancelled_usd",
            dtype=USD,
            comment="Part of usage_usd: attempts that their caller broke off; NULL: none",
        ),
        Column(
            name="retry_usd",
            dtype=USD,
            comment="Part of usage_usd: attempts after the first of their request, fallbacks excluded; a failed one is in failed_usd as well. NULL: none",
        ),
        Column(
            name="cache_read_saved_usd",
            dtype=USD,
            comment="What reads from the provider's prompt cache would have cost more as plain input, at the rates of their price cards; NULL: no reads, or no rate. Shown apart, in no sum",
        ),
        Column(
            name="cache_write_premium_usd",
            dtype=USD,
            comment="What writes to the prompt cache cost more than plain input; part of usage_usd. NULL: no writes, or no rate",
        ),
        Column(
            name="available_usd",
            dtype=USD,
            comment="All billed cost, usage_usd in it (never add the two): usage plus the pool-day's starting, idle, draining, failed, padding and unused dollars by allocation weight; charges without a request are in mart.spend_daily alone",
        ),
        Column(
            name="available_usd_per_mtok",
            dtype=pl.Float64,
            comment="1e6 x available_usd / tokens of priced and free rows. Never summed",
        ),
        IS_PROVISIONAL,
    ),
    key=(
        "accrued_on",
        "cost_basis",
        "provider",
        "region",
        "route",
        "model",
        "chip",
        "tenant",
        "team",
        "feature",
        "environment",
        "service_tier",
        "operation",
    ),
    partition="accrued_on",
)
