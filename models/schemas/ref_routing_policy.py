import polars as pl

from models.schemas.base import INSTANT, Column, Table

_WORDS = pl.List(pl.String)

TABLE = Table(
    schema="ref",
    name="routing_policy",
    grain="One row per policy clause: what a route may use for a class of work, and when the clause holds",
    columns=(
        Column(
            name="policy_version", dtype=pl.String, comment="Content hash of the policy file", required=True
        ),
        Column(
            name="clause",
            dtype=pl.String,
            comment="Path of the clause in the file, such as routes.support.task_classes.simple",
            required=True,
        ),
        Column(name="route", dtype=pl.String, comment="Route; NULL = every route"),
        Column(name="task_class", dtype=pl.String, comment="Class of work; NULL = every class"),
        Column(name="models", dtype=_WORDS, comment="Eligible model families; NULL = any"),
        Column(name="providers", dtype=_WORDS, comment="Eligible providers; NULL = any"),
        Column(name="regions", dtype=_WORDS, comment="Eligible regions; NULL = any"),
        Column(name="chips", dtype=_WORDS, comment="Eligible chips; NULL = any"),
        Column(name="quality_floor", dtype=pl.Float64, comment="Least quality score; NULL = none"),
        Column(name="valid_from", dtype=INSTANT, comment="Clause holds from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Clause holds before this instant; NULL = open"),
        Column(name="policy_line", dtype=pl.Int64, comment="Line of the clause in the file"),
    ),
    key=("clause", "valid_from"),
)
