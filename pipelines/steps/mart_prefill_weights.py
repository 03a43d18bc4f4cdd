"""mart.prefill_weights: what a prefilled token weighs beside a decoded one, as engines' counters tell."""

from datetime import timedelta

import polars as pl

from models.costs.weight_estimates import WINDOW_DAYS, prefill_weights
from models.costs.weights import load_weights
from models.marts import mart_sql
from models.periods import business_day_bounds
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs

_TRAILING = timedelta(days=WINDOW_DAYS - 1)

STEP = Step(
    table="mart.prefill_weights",
    reads=(
        Read("raw.usage_counters", before=_TRAILING + timedelta(minutes=10)),
        Read("core.pool_hours", before=_TRAILING),
        "core.replica_events",
    ),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Estimate the weight of each day from the half hours of its trailing week."""
    project, zone = inputs.project, window.time_zone
    blocks = inputs.query(
        mart_sql("prefill_blocks"),
        {
            "start": business_day_bounds(window.from_on - _TRAILING, time_zone=zone)[0],
            "end": window.end,
            "zone": zone,
        },
    )
    weights = load_weights(project.weights_text(), path=project.weights_path)
    rows = pl.concat(
        prefill_weights(
            blocks, on=on, weights=weights, day_ends_at=business_day_bounds(on, time_zone=zone)[1]
        )
        for on in window.days
    )
    return {STEP.table: rows}
