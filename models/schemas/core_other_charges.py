import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_HOUR, PAYING_TENANT, REGION

TABLE = Table(
    schema="core",
    name="other_charges",
    grain="One row per charge without a request x hour x dimensions (shared overhead of pools; cache storage, hosting)",
    columns=(
        Column(name="charge_id", dtype=pl.String, comment="Charge", required=True),
        Column(name="provider", dtype=pl.String, comment="Who charges"),
        REGION,
        Column(name="chip", dtype=pl.String, comment="Accelerator of the pool that it belongs to"),
        Column(
            name="route",
            dtype=pl.String,
            comment="Route that it belongs to: a pool's deployment, (none) where nobody held one",
        ),
        Column(name="model", dtype=pl.String, comment="Model that it belongs to"),
        PAYING_TENANT,
        Column(
            name="meter", dtype=pl.String, comment="What is metered: the name of an overhead", required=True
        ),
        Column(name="quantity", dtype=pl.Decimal(38, 6), comment="Quantity of the meter"),
        ACCRUED_HOUR,
        Column(name="accrued_on", dtype=pl.Date, comment="Business date", required=True),
        Column(name="effective_usd", dtype=USD, comment="Dollars; NULL when unpriced"),
    ),
    key=("charge_id", "accrued_hour", "accrued_on"),
    partition="accrued_hour",
)
