import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION
from models.schemas.vocabulary import pool_dimensions

IDLE_CAUSES = {
    "headroom": "needed for the hour's load at the target utilisation",
    "waste": "beyond what the hour's load needs",
    "no_traffic": "no request ran in that hour: replicas were kept up",
}

TABLE = Table(
    schema="mart",
    name="idle_cost_daily",
    grain="One row per business day x pool x cause x tenant x team: what idle GPUs cost and whose traffic kept them there; sums to idle_usd of core.pool_hours",
    columns=(
        ACCRUED_ON_PARTITION,
        *pool_dimensions(),
        Column(
            name="cause",
            dtype=pl.String,
            comment="Why the GPUs were there: " + "; ".join(f"{k}: {v}" for k, v in IDLE_CAUSES.items()),
            required=True,
            one_of=tuple(IDLE_CAUSES),
        ),
        Column(
            name="tenant",
            dtype=pl.String,
            comment="Who was served in that hour, by allocation weight; NULL: nobody, or not known",
        ),
        Column(name="team", dtype=pl.String, comment="Team that was served; NULL: nobody, or not known"),
        Column(
            name="idle_usd",
            dtype=USD,
            comment="Part of the pool's idle_usd; NULL where the chip has no price",
        ),
        Column(
            name="idle_gpu_seconds",
            dtype=pl.Decimal(38, 6),
            comment="Part of the pool's idle GPU-seconds",
            required=True,
        ),
    ),
    key=("accrued_on", "provider", "region", "chip", "deployment", "commitment", "cause", "tenant", "team"),
    partition="accrued_on",
)
