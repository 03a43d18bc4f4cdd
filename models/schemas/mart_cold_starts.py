import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.vocabulary import pool_dimensions

TABLE = Table(
    schema="mart",
    name="cold_starts",
    grain="One row per start of a replica: phases, dollars and the requests that waited; on the business day of the request for it",
    columns=(
        Column(
            name="started_on",
            dtype=pl.Date,
            comment="Business date of requested_at; the partition",
            required=True,
        ),
        Column(name="replica_id", dtype=pl.String, comment="Replica", required=True),
        *pool_dimensions(),
        Column(name="model", dtype=pl.String, comment="Model"),
        Column(
            name="requested_at", dtype=INSTANT, comment="When the replica was asked for, UTC", required=True
        ),
        Column(
            name="ready_at",
            dtype=INSTANT,
            comment="When it could serve, UTC; NULL if it never could or not yet",
        ),
        Column(
            name="outcome",
            dtype=pl.String,
            comment="ready, failed or pending",
            required=True,
            one_of=("ready", "failed", "pending"),
        ),
        Column(name="reason", dtype=pl.String, comment="Reason in the events"),
        Column(name="waiting_seconds", dtype=pl.Float64, comment="Waiting for a machine", at_least=0),
        Column(name="pulling_seconds", dtype=pl.Float64, comment="Pulling the image", at_least=0),
        Column(
            name="loading_seconds", dtype=pl.Float64, comment="Loading weights and warming up", at_least=0
        ),
        Column(
            name="total_seconds",
            dtype=pl.Float64,
            comment="requested_at to ready_at (or failure)",
            at_least=0,
        ),
        Column(
            name="start_usd",
            dtype=USD,
            comment="Billed dollars of the start by the vendor's rule; failed starts are in pool_hours.failed_usd; NULL when unpriced or inferred",
        ),
        Column(
            name="delayed_request_count",
            dtype=pl.Int64,
            comment="Requests that started on the deployment while it had no ready replica, or queued, during the start",
            required=True,
            at_least=0,
        ),
        Column(
            name="added_seconds",
            dtype=pl.Float64,
            comment="Seconds that those requests waited",
            required=True,
            at_least=0,
        ),
        Column(
            name="is_inferred",
            dtype=pl.Boolean,
            comment="Whether the start is inferred from request logs",
            required=True,
        ),
        Column(name="estimated_usd", dtype=USD, comment="Estimate for an inferred start; never summed"),
    ),
    key=("replica_id", "requested_at"),
    partition="started_on",
)
