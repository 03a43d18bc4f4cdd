import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import (
    ACCRUED_ON_IN_ZONE,
    BILLED_GPU_SECONDS,
    IS_SPLIT_PROVISIONAL,
    MODEL_OF_DEPLOYMENT,
)
from models.schemas.vocabulary import POOL_PARTS, pool_dimensions

_SECONDS = pl.Decimal(38, 6)

TABLE = Table(
    schema="core",
    name="pool_hours",
    grain="One row per pool x pool_hour x accrued_on: the bill and its conserved parts",
    columns=(
        *pool_dimensions(),
        MODEL_OF_DEPLOYMENT,
        Column(name="pool_hour", dtype=INSTANT, comment="UTC hour; the partition", required=True),
        ACCRUED_ON_IN_ZONE,
        Column(
            name="billed_usd",
            dtype=USD,
            comment="Bill of the hour from instance lifetimes under the vendor's rule; equals the sum of its parts; NULL when nothing of it has a price",
        ),
        *(
            Column(name=f"{part}_usd", dtype=USD, comment=f"Part of billed_usd: {part.replace('_', ' ')}")
            for part in POOL_PARTS
        ),
        BILLED_GPU_SECONDS,
        *(
            Column(
                name=f"{part}_gpu_seconds",
                dtype=_SECONDS,
                comment=f"Part of billed_gpu_seconds: {part.replace('_', ' ')}",
                required=True,
            )
            for part in POOL_PARTS
        ),
        Column(
            name="wall_gpu_seconds", dtype=_SECONDS, comment="GPU-seconds held, billed or not", required=True
        ),
        Column(
            name="unpriced_gpu_seconds",
            dtype=_SECONDS,
            comment="Billed GPU-seconds without a price: their dollars are in no figure; 0 when all have one",
        ),
        IS_SPLIT_PROVISIONAL,
    ),
    key=("provider", "region", "chip", "deployment", "commitment", "pool_hour", "accrued_on"),
    partition="pool_hour",
)
