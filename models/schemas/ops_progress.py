import polars as pl

from models.schemas.base import Column, Table

TABLE = Table(
    schema="ops",
    name="progress",
    grain="One row per task x key: up to which snapshot of the lake it is done",
    columns=(
        Column(
            name="task", dtype=pl.String, comment="Report, or other work that fills no table", required=True
        ),
        Column(name="key", dtype=pl.String, comment="Business date of a report; else empty", required=True),
        Column(
            name="read_snapshot",
            dtype=pl.Int64,
            comment="Newest snapshot of the lake that it was done from",
            required=True,
        ),
    ),
    key=("task", "key"),
)
