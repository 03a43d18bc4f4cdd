import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import CHIP

TABLE = Table(
    schema="ref",
    name="chips",
    grain="One row per accelerator",
    columns=(
        CHIP,
        Column(name="vendor", dtype=pl.String, comment="Maker", required=True),
        Column(
            name="memory_gib",
            dtype=pl.Float64,
            comment="Memory of one accelerator in GiB; NULL when not published",
        ),
        Column(
            name="aliases",
            dtype=pl.List(pl.String),
            comment="Other spellings in logs and sheets",
            required=True,
        ),
        Column(
            name="billing",
            dtype=pl.String,
            comment="gpu_hour or token: how it is usually sold",
            required=True,
            one_of=("gpu_hour", "token"),
        ),
        Column(name="source_url", dtype=pl.String, comment="Where the facts were published", required=True),
    ),
    key=("chip",),
)
