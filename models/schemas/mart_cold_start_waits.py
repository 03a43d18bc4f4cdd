import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ADDED_SECONDS, REPLICA_ID, REQUESTED_AT
from models.schemas.vocabulary import BURST_CAUSES, pool_dimensions

TABLE = Table(
    schema="mart",
    name="cold_start_waits",
    grain="One row per start of a replica x tenant x team that waited for it, and one for a start that nobody waited for; dollars sum to mart.cold_starts",
    columns=(
        Column(
            name="started_on",
            dtype=pl.Date,
            comment="Business date on which the replica was asked for; the partition",
            required=True,
        ),
        REPLICA_ID,
        *pool_dimensions(),
        REQUESTED_AT,
        Column(name="cause", dtype=pl.String, comment="Why the replica was asked for", one_of=BURST_CAUSES),
        Column(
            name="outcome",
            dtype=pl.String,
            comment="How the start ended",
            required=True,
            one_of=("ready", "failed", "cancelled", "pending"),
        ),
        Column(
            name="is_waited",
            dtype=pl.Boolean,
            comment="Whether a request waited; then the tenant is who sent it",
            required=True,
        ),
        Column(name="tenant", dtype=pl.String, comment="Who waited; NULL: nobody, or not known"),
        Column(name="team", dtype=pl.String, comment="Team that waited; NULL: nobody, or not known"),
        Column(
            name="request_count",
            dtype=pl.Int64,
            comment="Requests that waited; each waits for one start",
            required=True,
        ),
        Column(
            name="abandoned_request_count",
            dtype=pl.Int64,
            comment="Of them, those that ended without an answer",
            required=True,
        ),
        ADDED_SECONDS,
        Column(
            name="start_usd",
            dtype=USD,
            comment="Part of the start's dollars, by seconds waited; NULL when unpriced or inferred",
        ),
    ),
    key=("replica_id", "requested_at", "tenant", "team"),
    partition="started_on",
)
