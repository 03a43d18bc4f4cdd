import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, ROUTE
from models.schemas.vocabulary import MISTAKE_KINDS

TABLE = Table(
    schema="mart",
    name="routing_coverage_daily",
    grain="One row per business day x route x kind: how many attempts the data could judge for that kind",
    columns=(
        ACCRUED_ON_PARTITION,
        ROUTE,
        Column(name="kind", dtype=pl.String, comment="Kind of mistake", required=True, one_of=MISTAKE_KINDS),
        Column(name="attempt_count", dtype=pl.Int64, comment="Attempts, failed ones included", required=True),
        Column(
            name="evaluated_count",
            dtype=pl.Int64,
            comment="Attempts that could be judged for this kind",
            required=True,
            at_least=0,
        ),
        Column(name="reason", dtype=pl.String, comment="Why the others could not; NULL when all could"),
    ),
    key=("accrued_on", "route", "kind"),
    partition="accrued_on",
)
