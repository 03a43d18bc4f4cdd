import polars as pl

from models.money import ROW_USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import MODEL_OF_REPLICA, NODE, REPLICA_ID
from models.schemas.vocabulary import REPLICA_STATES, pool_dimensions

TABLE = Table(
    schema="core",
    name="replica_states",
    grain="One row per replica x state interval x state_hour x accrued_on, cut at hours and business days",
    columns=(
        REPLICA_ID,
        Column(name="source", dtype=pl.String, comment="Configured source that tells of the replica"),
        Column(name="cluster", dtype=pl.String, comment="Cluster, where the source names it"),
        *pool_dimensions(),
        MODEL_OF_REPLICA,
        NODE,
        Column(
            name="state",
            dtype=pl.String,
            comment="State of the replica; serving and idle are derived from ready",
            required=True,
            one_of=REPLICA_STATES,
        ),
        Column(
            name="state_hour", dtype=INSTANT, comment="UTC hour of the slice; the partition", required=True
        ),
        Column(
            name="accrued_on",
            dtype=pl.Date,
            comment="Business date of the slice in the reporting zone",
            required=True,
        ),
        Column(name="started_at", dtype=INSTANT, comment="Start of the slice, UTC", required=True),
        Column(name="ended_at", dtype=INSTANT, comment="End of the slice, UTC", required=True),
        Column(name="chip_count", dtype=pl.Int32, comment="Accelerators held", required=True, at_least=1),
        Column(name="fraction", dtype=pl.Decimal(9, 6), comment="Share of each accelerator", required=True),
        Column(
            name="billed_seconds",
            dtype=pl.Decimal(18, 6),
            comment="Seconds of the slice that the vendor bills",
            required=True,
            at_least=0,
        ),
        Column(
            name="billed_usd", dtype=ROW_USD, comment="Dollars of the slice; NULL when the chip has no price"
        ),
        Column(
            name="is_cold_start",
            dtype=pl.Boolean,
            comment="Whether the slice is part of a start (waiting, pulling, loading)",
            required=True,
        ),
        Column(
            name="life_started_at",
            dtype=INSTANT,
            comment="When the life began that the slice is part of, UTC; a restarted replica has several",
        ),
        Column(
            name="phase",
            dtype=pl.String,
            comment="As state, save that the slices of a start that failed keep the phase that it was in",
            one_of=REPLICA_STATES,
        ),
        Column(name="reason", dtype=pl.String, comment="Reason of the event that began the state"),
        Column(
            name="repair",
            dtype=pl.String,
            comment="What had to be mended in the events, by name; NULL when nothing",
        ),
        Column(name="price_id", dtype=pl.String, comment="Row of ref.gpu_prices at the start of the slice"),
    ),
    key=("replica_id", "source", "cluster", "provider", "region", "started_at", "state"),
    partition="state_hour",
)
