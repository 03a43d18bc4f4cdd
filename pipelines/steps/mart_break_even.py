"""mart.break_even: what owning a pool costs beside an API for the same tokens."""

from datetime import timedelta

from models.marts import mart_sql
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs

_TRAILING = timedelta(days=6)
"""Days before its own that tell how fast a pool can be."""

STEP = Step(
    table="mart.break_even",
    reads=(
        Read("core.request_costs", before=_TRAILING),
        Read("core.pool_hours", before=_TRAILING),
        "core.other_charges",
        "ref.token_prices",
        "ref.model_families",
    ),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Compare each pool-day with the offers of its model; its capacity is that of the trailing week."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("break_even"), days)}
