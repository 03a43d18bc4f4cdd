import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, CHIP, DEPLOYMENT, REGION_OF_CHIPS

TABLE = Table(
    schema="mart",
    name="break_even",
    grain="One row per business day x owned pool x API offer of the same model: from how many tokens a day owning wins",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(name="provider", dtype=pl.String, comment="Who bills the pool's accelerators", required=True),
        REGION_OF_CHIPS,
        CHIP,
        DEPLOYMENT,
        Column(name="model", dtype=pl.String, comment="Model that the deployment serves"),
        Column(name="api_provider", dtype=pl.String, comment="Provider of the API", required=True),
        Column(name="api_region", dtype=pl.String, comment="Region of its price; NULL = any"),
        Column(name="api_model", dtype=pl.String, comment="Model as the API names it", required=True),
        Column(
            name="price_id", dtype=pl.String, comment="Price card of the API: ref.token_prices", required=True
        ),
        Column(
            name="tokens",
            dtype=pl.Int64,
            comment="Tokens that the pool served that day, all classes",
            at_least=0,
        ),
        Column(
            name="billed_usd",
            dtype=USD,
            comment="What the pool was billed that day; NULL when it has no price",
        ),
        Column(
            name="overhead_usd",
            dtype=USD,
            comment="Its shared overhead (core.other_charges); NULL when a part has no price",
        ),
        Column(
            name="api_usd",
            dtype=USD,
            comment="What the same tokens would have cost at the API; NULL when it lacks a price for some of them",
        ),
        Column(
            name="available_usd_per_mtok",
            dtype=pl.Float64,
            comment="billed_usd per million tokens. Never summed",
        ),
        Column(
            name="owning_usd_per_mtok",
            dtype=pl.Float64,
            comment="billed_usd and overhead_usd per million tokens: all that owning cost. Never summed",
        ),
        Column(
            name="api_usd_per_mtok",
            dtype=pl.Float64,
            comment="API price of the day's token mix. Never summed",
        ),
        Column(
            name="break_even_tokens",
            dtype=pl.Int64,
            comment="Tokens a day of this mix from which owning wins at the present size; NULL when the API is free",
        ),
        Column(
            name="capacity_tokens",
            dtype=pl.Int64,
            comment="Tokens that the day's GPU-seconds can serve at the pool's best hour of the trailing seven days",
        ),
        Column(name="used_ratio", dtype=pl.Float64, comment="tokens / capacity_tokens: the current point"),
        Column(name="break_even_ratio", dtype=pl.Float64, comment="break_even_tokens / capacity_tokens"),
        Column(
            name="cheaper",
            dtype=pl.String,
            comment="owning, api, or never_at_this_size (break-even lies above capacity); NULL when either has no price",
            one_of=("owning", "api", "never_at_this_size"),
        ),
    ),
    key=(
        "accrued_on",
        "provider",
        "region",
        "chip",
        "deployment",
        "api_provider",
        "api_region",
        "api_model",
        "price_id",
    ),
    partition="accrued_on",
    overlaps="A pool stands once for each API that sells its model: filter by api_provider, api_region and api_model.",
)
