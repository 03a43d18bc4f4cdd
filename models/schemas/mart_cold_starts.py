import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import MODEL, NODE, REPLICA_ID, REQUESTED_AT
from models.schemas.vocabulary import BURST_CAUSES, pool_dimensions

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
        REPLICA_ID,
        *pool_dimensions(),
        MODEL,
        NODE,
        Column(name="chip_count", dtype=pl.Int32, comment="Accelerators that the replica holds", at_least=1),
        Column(name="fraction", dtype=pl.Decimal(9, 6), comment="Share of each accelerator"),
        REQUESTED_AT,
        Column(
            name="ready_at",
            dtype=INSTANT,
            comment="When it could serve, UTC; NULL if it never could or not yet",
        ),
        Column(
            name="stopped_at",
            dtype=INSTANT,
            comment="When the life that it began ended, UTC; NULL while it lives, as far as the facts go",
        ),
        Column(
            name="outcome",
            dtype=pl.String,
            comment="ready, failed, cancelled (stopped before it was ready) or pending",
            required=True,
            one_of=("ready", "failed", "cancelled", "pending"),
        ),
        Column(name="reason", dtype=pl.String, comment="Reason in the events"),
        Column(name="failure_reason", dtype=pl.String, comment="Reason of the failure in the events"),
        Column(
            name="cause",
            dtype=pl.String,
            comment="Why the replica was asked for, by its reason, else by what happened around it",
            one_of=BURST_CAUSES,
        ),
        Column(name="evidence", dtype=pl.String, comment="What that cause rests on"),
        Column(name="waiting_seconds", dtype=pl.Float64, comment="Waiting for a machine", at_least=0),
        Column(name="pulling_seconds", dtype=pl.Float64, comment="Pulling the image", at_least=0),
        Column(
            name="loading_seconds", dtype=pl.Float64, comment="Loading weights and warming up", at_least=0
        ),
        Column(
            name="total_seconds",
            dtype=pl.Float64,
            comment="requested_at to ready_at (or failure, or the end of the facts)",
            at_least=0,
        ),
        Column(
            name="start_usd",
            dtype=USD,
            comment="Billed dollars of the start by the vendor's rule: those of failed starts are in pool_hours.failed_usd, all others in starting_usd; NULL when unpriced or inferred",
        ),
        Column(
            name="delayed_request_count",
            dtype=pl.Int64,
            comment="Requests that started on the deployment while it had no ready replica, or queued, and that this start relieved; each counts once",
            required=True,
            at_least=0,
        ),
        Column(
            name="abandoned_request_count",
            dtype=pl.Int64,
            comment="Delayed requests that ended without an answer",
            at_least=0,
        ),
        Column(
            name="added_seconds",
            dtype=pl.Float64,
            comment="Seconds that the delayed requests waited",
            required=True,
            at_least=0,
        ),
        Column(
            name="delayed_users",
            dtype=pl.List(pl.String),
            comment="Who sent the delayed requests (user_id, else api_key_id, else tenant), each once",
        ),
        Column(
            name="delayed_ttft_seconds",
            dtype=pl.Float64,
            comment="Median seconds to the first token of the delayed requests",
            at_least=0,
        ),
        Column(
            name="warm_ttft_seconds",
            dtype=pl.Float64,
            comment="Median seconds to the first token of the deployment's other requests on that day",
            at_least=0,
        ),
        Column(
            name="ready_replica_count",
            dtype=pl.Int64,
            comment="Replicas of the deployment that were ready when this one was asked for",
            at_least=0,
        ),
        Column(
            name="is_inferred",
            dtype=pl.Boolean,
            comment="Whether the start is inferred from request logs",
            required=True,
        ),
        Column(
            name="confidence_ratio",
            dtype=pl.Float64,
            comment="How sure an inferred start is, 0 to 1; NULL when observed",
            at_least=0,
        ),
        Column(name="estimated_usd", dtype=USD, comment="Estimate for an inferred start; never summed"),
    ),
    key=("replica_id", "requested_at"),
    partition="started_on",
)
