from dataclasses import replace

from models.schemas.ops_duplicates import TABLE as DUPLICATES

TABLE = replace(
    DUPLICATES,
    name="event_duplicates",
    grain="One row per lifecycle record that lost to another record of the same replica, event and instant",
)
