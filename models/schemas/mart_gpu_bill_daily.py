import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    ACCRUED_ON_PARTITION,
    BILLED_GPU_SECONDS,
    IS_SPLIT_PROVISIONAL,
    MODEL_OF_DEPLOYMENT,
)
from models.schemas.vocabulary import POOL_PARTS, pool_dimensions

_SECONDS = pl.Decimal(38, 6)
_IDLE = {
    "idle_headroom": "needed for the hour's load at the target utilisation",
    "idle_waste": "beyond what that needs",
}

TABLE = Table(
    schema="mart",
    name="gpu_bill_daily",
    grain="One row per business day x pool: what it was billed, for what, and at what rate; idle split into headroom and waste",
    columns=(
        ACCRUED_ON_PARTITION,
        *pool_dimensions(),
        MODEL_OF_DEPLOYMENT,
        Column(
            name="workload",
            dtype=pl.String,
            comment="training, where `[gpu] training` names the deployment; else inference",
            one_of=("inference", "training"),
        ),
        Column(
            name="billed_usd",
            dtype=USD,
            comment="Bill of the day, the sum of its parts; hours without a price are left out, and counted",
        ),
        *(
            Column(name=f"{part}_usd", dtype=USD, comment=f"Part of billed_usd: {part.replace('_', ' ')}")
            for part in POOL_PARTS
        ),
        *(
            Column(name=f"{part}_usd", dtype=USD, comment=f"Part of idle_usd: {meaning}")
            for part, meaning in _IDLE.items()
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
        *(
            Column(
                name=f"{part}_gpu_seconds",
                dtype=_SECONDS,
                comment=f"Part of idle_gpu_seconds: {meaning}",
                required=True,
            )
            for part, meaning in _IDLE.items()
        ),
        Column(
            name="utilization_ratio",
            dtype=pl.Float64,
            comment="Serving over serving and idle GPU-seconds. Never summed",
        ),
        Column(
            name="target_utilization_ratio",
            dtype=pl.Float64,
            comment="The target by which idle was split: `[gpu] target_utilization`",
            required=True,
        ),
        Column(
            name="usd_per_gpu_hour",
            dtype=pl.Float64,
            comment="billed_usd per billed GPU-hour; NULL when an hour has no price. Never summed: divide sums for a blended rate",
        ),
        Column(
            name="unpriced_hour_count",
            dtype=pl.Int64,
            comment="Pool-hours of which a part or all has no price",
            required=True,
        ),
        Column(
            name="unpriced_gpu_seconds",
            dtype=_SECONDS,
            comment="Billed GPU-seconds without a price: their dollars are in no figure",
        ),
        IS_SPLIT_PROVISIONAL,
    ),
    key=("accrued_on", "provider", "region", "chip", "deployment", "commitment"),
    partition="accrued_on",
)
