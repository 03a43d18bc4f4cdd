import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import ADDED_SECONDS, CHIP, PROVIDER_OF_CHIPS, REQUIRED_REGION
from models.schemas.vocabulary import BURST_CAUSES

TABLE = Table(
    schema="mart",
    name="cold_start_bursts",
    grain="One row per incident: a burst of cold starts of a deployment x chip x region; on the business day of its onset",
    columns=(
        Column(
            name="started_on",
            dtype=pl.Date,
            comment="Business date of onset_at; the partition",
            required=True,
        ),
        Column(
            name="burst_id",
            dtype=pl.String,
            comment="Incident: deployment, chip, region and onset",
            required=True,
        ),
        PROVIDER_OF_CHIPS,
        REQUIRED_REGION,
        CHIP,
        Column(name="deployment", dtype=pl.String, comment="Deployment", required=True),
        Column(name="onset_at", dtype=INSTANT, comment="First start of the burst, UTC", required=True),
        Column(name="ended_at", dtype=INSTANT, comment="Last start of the burst, UTC", required=True),
        Column(name="start_count", dtype=pl.Int64, comment="Starts in the burst", required=True, at_least=1),
        Column(
            name="expected_count",
            dtype=pl.Float64,
            comment="Starts that the baseline expects in that window",
            required=True,
        ),
        Column(
            name="p_value",
            dtype=pl.Float64,
            comment="Chance of such a window under the baseline",
            required=True,
        ),
        Column(name="burst_usd", dtype=USD, comment="Billed dollars of its starts; NULL when unpriced"),
        Column(name="failed_count", dtype=pl.Int64, comment="Starts of the burst that failed", at_least=0),
        Column(
            name="inferred_count",
            dtype=pl.Int64,
            comment="Starts of the burst that are inferred from requests",
            at_least=0,
        ),
        Column(name="delayed_request_count", dtype=pl.Int64, comment="Requests that waited", required=True),
        Column(
            name="abandoned_request_count",
            dtype=pl.Int64,
            comment="Requests that waited and ended without an answer",
            at_least=0,
        ),
        Column(
            name="delayed_user_count",
            dtype=pl.Int64,
            comment="Callers whose requests waited, each once",
            at_least=0,
        ),
        ADDED_SECONDS,
        Column(name="cause", dtype=pl.String, comment="Likely cause", required=True, one_of=BURST_CAUSES),
        Column(name="evidence", dtype=pl.String, comment="Why that cause", required=True),
        Column(
            name="cure_replica_count",
            dtype=pl.Int64,
            comment="Least extra warm replicas that would have absorbed it",
        ),
        Column(name="cure_usd_per_day", dtype=USD, comment="What those cost a day"),
        Column(
            name="cure_keep_warm_seconds",
            dtype=pl.Float64,
            comment="How much longer idle replicas would have had to be kept to absorb it; NULL when too few were stopped in the day before",
            at_least=0,
        ),
        Column(
            name="cure_keep_warm_usd_per_day",
            dtype=USD,
            comment="What that keep-warm costs a day, at the stops of the seven days before",
        ),
        Column(
            name="history_days",
            dtype=pl.Float64,
            comment="Days of history behind the baseline",
            required=True,
        ),
        Column(
            name="is_history_short",
            dtype=pl.Boolean,
            comment="Whether the history is under 14 days, so that the fleet's baseline weighs more",
            required=True,
        ),
    ),
    key=("burst_id",),
    partition="started_on",
    overlaps="cure_* of bursts of one deployment overlap: take the largest.",
)
