from models.schemas.base import INSTANT, Column, Table
from models.schemas.vocabulary import canonical_request_columns

TABLE = Table(
    schema="core",
    name="requests",
    grain="One row per attempt: a call to one upstream, duplicates removed",
    columns=(
        *canonical_request_columns(),
        Column(
            name="started_hour", dtype=INSTANT, comment="UTC hour of started_at; the partition", required=True
        ),
    ),
    key=("source", "request_id", "started_at"),
    partition="started_hour",
)
