"""core.replica_events: one row per lifecycle event, of all records that landed of it."""

import polars as pl

from models.lifecycle.dedupe import dedupe_events
from models.prices.chips import canonical_events
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="core.replica_events",
    also=("ops.event_duplicates",),
    reads=("raw.replica_events",),
    # What a replica is called, and whether its start failed, a later event may tell.
    is_computed_ahead=True,
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Keep one record of each event, with chips and sellers of units as the reference tables name them."""
    landed = inputs.query(
        "SELECT * FROM raw.replica_events WHERE event_at >= ? AND event_at < ?", [window.start, window.end]
    )
    winners, losers = dedupe_events(landed.lazy(), from_hour=window.start, to_hour=window.end)
    rows, removed = pl.collect_all([canonical_events(winners), losers])
    return {"core.replica_events": rows, "ops.event_duplicates": removed}
