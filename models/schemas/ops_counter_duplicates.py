from dataclasses import replace

from models.schemas.ops_duplicates import TABLE as DUPLICATES

TABLE = replace(
    DUPLICATES,
    name="counter_duplicates",
    grain="One row per count that a later delivery of the same bucket or reading replaced",
)
