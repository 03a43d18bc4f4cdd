import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, IS_SPLIT_PROVISIONAL, TEAM
from models.schemas.vocabulary import pool_dimensions

TABLE = Table(
    schema="mart",
    name="pool_users_daily",
    grain="One row per business day x pool x tenant x team x credential: what each used of it, and its part of the bill",
    columns=(
        ACCRUED_ON_PARTITION,
        *pool_dimensions(),
        Column(name="model", dtype=pl.String, comment="Model that the deployment serves; NULL when several"),
        Column(
            name="tenant",
            dtype=pl.String,
            comment="Paying tenant; NULL: no record names one; (unallocated): what rests on nobody",
        ),
        TEAM,
        Column(
            name="api_key_id", dtype=pl.String, comment="Keyed hash of the API key; NULL: no record tells it"
        ),
        Column(name="attempt_count", dtype=pl.Int64, comment="Attempts on the pool", required=True),
        Column(name="input_tokens", dtype=pl.Int64, comment="Their input, all classes", required=True),
        Column(name="output_tokens", dtype=pl.Int64, comment="Their output, all classes", required=True),
        Column(
            name="in_flight_seconds",
            dtype=pl.Float64,
            comment="Seconds for which they worked, of attempts whose end is known, in the day they began",
        ),
        Column(
            name="serving_usd",
            dtype=USD,
            comment="Serving dollars of the pool that they carry by its rule",
            required=True,
        ),
        Column(
            name="overhead_usd",
            dtype=USD,
            comment="Part of the pool's other dollars (idle, starts, padding, ...) by its rule",
            required=True,
        ),
        Column(
            name="whole_usd",
            dtype=USD,
            comment="Both: the rows of a pool-day sum to its bill",
            required=True,
        ),
        Column(name="weight_ratio", dtype=pl.Float64, comment="Share of the weighted tokens. Never summed"),
        Column(name="bill_ratio", dtype=pl.Float64, comment="Share of the pool's bill. Never summed"),
        IS_SPLIT_PROVISIONAL,
    ),
    key=(
        "accrued_on",
        "provider",
        "region",
        "chip",
        "deployment",
        "commitment",
        "tenant",
        "team",
        "api_key_id",
    ),
    partition="accrued_on",
)
