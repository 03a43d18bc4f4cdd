from models.schemas.base import INSTANT, Column, Table
from models.schemas.vocabulary import canonical_event_columns

TABLE = Table(
    schema="core",
    name="replica_events",
    grain="One row per lifecycle event of a replica, duplicates removed",
    columns=(
        *canonical_event_columns(),
        Column(
            name="event_hour", dtype=INSTANT, comment="UTC hour of event_at; the partition", required=True
        ),
    ),
    key=("source", "cluster", "region", "replica_id", "event", "event_at"),
    partition="event_hour",
)
