import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    ACCRUED_ON_PARTITION,
    BILLING_PROVIDER,
    CHIP_WHERE_KNOWN,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REGION_OF_CALL,
    ROUTE_CHOSEN,
    SERVED_MODEL_NAME,
    SERVICE_TIER,
    UNPRICED_TOKENS,
)

SPEND_COMPONENTS = {
    "tokens": "usage that is priced by tokens and other meters",
    "gpu_serving": "GPU time that served requests",
    "gpu_starting": "GPU time of cold starts",
    "gpu_idle": "GPU time that waited for requests",
    "gpu_draining": "GPU time of replicas on their way out",
    "gpu_failed": "GPU time of starts that failed",
    "gpu_padding": "GPU time that the vendor's rounding and minimum add",
    "gpu_unheld": "GPUs of a node that is paid for and that no replica held",
    "gpu_unused_commitment": "committed GPUs that no replica used",
    "other_charges": "charges without a request: shared overhead, storage",
}
"""What spend is made of, corrections apart: the words of `spend()`."""

FIGURE_CLASSES = {
    "measured": "units that the provider or the cluster counted, at a published price",
    "provider_reported": "what the provider says that it charged",
    "contracted": "units that were counted, at a price or an amount that was agreed",
    "allocated": "a share of a GPU bill, by a named rule",
    "estimated": "units that nobody counted, at a published price",
    "projected": "what has not happened yet: mart.spend_forecast alone",
}
"""How a figure is known, the surest first."""

TABLE = Table(
    schema="mart",
    name="spend_daily",
    grain="One row per accrued_on x component x provider x region x route x deployment x commitment x model x chip x tenant x team x feature x environment x service_tier x figure_class: the whole spend, corrections apart",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(
            name="component",
            dtype=pl.String,
            comment="What the money is for, by the words of spend()",
            required=True,
            one_of=tuple(SPEND_COMPONENTS),
        ),
        BILLING_PROVIDER,
        REGION_OF_CALL,
        ROUTE_CHOSEN,
        Column(name="deployment", dtype=pl.String, comment="The pool's deployment; NULL for tokens"),
        Column(name="commitment", dtype=pl.String, comment="The pool's commitment; NULL for tokens"),
        SERVED_MODEL_NAME,
        CHIP_WHERE_KNOWN,
        Column(name="tenant", dtype=pl.String, comment="Paying tenant; NULL where nobody's request is behind it"),
        Column(name="team", dtype=pl.String, comment="Team; NULL where none is known"),
        Column(name="feature", dtype=pl.String, comment="Feature of the product, by tag; NULL where none is known"),
        Column(name="environment", dtype=pl.String, comment="Environment, by tag; NULL where none is known"),
        SERVICE_TIER,
        Column(
            name="figure_class",
            dtype=pl.String,
            comment="How the dollars are known; NULL where there are none. A total's share of each says how sure it is",
            one_of=tuple(FIGURE_CLASSES),
        ),
        Column(name="attempt_count", dtype=pl.Int64, comment="Attempts that began", required=True),
        INPUT_TOKENS,
        Column(
            name="cache_read_tokens", dtype=pl.Int64, comment="Part of input_tokens: read from a cache", required=True
        ),
        OUTPUT_TOKENS,
        UNPRICED_TOKENS,
        Column(name="usd", dtype=USD, comment="Effective dollars; NULL when nothing of it has a price"),
        Column(name="foreign_usd", dtype=USD, comment="Part of usd whose price is in another currency; NULL: none"),
        Column(name="foreign_amount", dtype=USD, comment="That part in its own currency"),
    ),
    key=(
        "accrued_on", "component", "provider", "region", "route", "deployment", "commitment", "model", "chip", "tenant",
        "team", "feature", "environment", "service_tier", "figure_class",
    ),
    partition="accrued_on",
)  # fmt: skip
