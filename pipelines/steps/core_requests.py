"""core.requests: one row per attempt, of all records that landed of it."""

import polars as pl

from models.logs.dedupe import dedupe
from models.prices.providers import canonical_providers
from models.schemas import table
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="core.requests",
    also=("ops.duplicates",),
    reads=(
        Read(
            "raw.requests",
            before=lambda project: 2 * project.dedupe_window,
            after=lambda project: project.dedupe_window,
        ),
    ),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Find the records of one call within the dedupe window, and keep the best of each."""
    reach = inputs.project.dedupe_window
    landed = inputs.query(
        "SELECT * FROM raw.requests WHERE started_at >= ? AND started_at < ?",
        [window.start - 2 * reach, window.end + reach],
    )
    winners, losers = dedupe(landed.lazy(), window=reach, from_hour=window.start, to_hour=window.end)
    rows, removed = pl.collect_all([canonical_providers(winners), losers], engine="in-memory")
    # What is priced from here on keeps this order, which is that of the lake.
    rows = rows.sort("started_hour", *table("core.requests").key, nulls_last=True, maintain_order=True)
    return {"core.requests": rows, "ops.duplicates": removed}
