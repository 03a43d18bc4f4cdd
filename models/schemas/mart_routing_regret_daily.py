import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, ROUTE

TABLE = Table(
    schema="mart",
    name="routing_regret_daily",
    grain="One row per business day x route x kind",
    columns=(
        ACCRUED_ON_PARTITION,
        ROUTE,
        Column(name="kind", dtype=pl.String, comment="Kind of mistake, or not_evaluated", required=True),
        Column(
            name="attempt_count",
            dtype=pl.Int64,
            comment="Flagged attempts (or attempts that the data could not judge)",
            required=True,
        ),
        Column(
            name="regret_usd", dtype=USD, comment="Regret attributed to this kind; NULL for not_evaluated"
        ),
        Column(name="regret_low_usd", dtype=USD, comment="Lower end of the regret's interval"),
        Column(name="regret_high_usd", dtype=USD, comment="Upper end of the regret's interval"),
        Column(
            name="wasted_usd",
            dtype=USD,
            comment="Cost of failed attempts, or of answers that were asked for again: apart from regret",
        ),
        Column(
            name="immaterial_count",
            dtype=pl.Int64,
            comment="Of attempt_count, those below materiality, which mart.routing_mistakes does not list",
        ),
        Column(name="cost_usd", dtype=USD, comment="What the flagged attempts cost"),
    ),
    key=("accrued_on", "route", "kind"),
    partition="accrued_on",
)
