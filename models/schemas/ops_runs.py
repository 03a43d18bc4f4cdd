import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import RUN_ID

TABLE = Table(
    schema="ops",
    name="runs",
    grain="One row per run that wrote to the warehouse",
    columns=(
        RUN_ID,
        Column(name="job", dtype=pl.String, comment="Job", required=True),
        Column(name="started_at", dtype=INSTANT, comment="When it first wrote, UTC", required=True),
        Column(name="version", dtype=pl.String, comment="nanodollar version", required=True),
    ),
    key=("run_id",),
)
