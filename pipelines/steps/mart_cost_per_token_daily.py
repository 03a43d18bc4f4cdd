"""mart.cost_per_token_daily: cost and tokens by business day, with what pools cost beside serving."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="mart.cost_per_token_daily",
    reads=(
        "core.request_costs",
        "core.pool_hours",
        "ref.allocation_rules",
        "ref.families",
        "ref.model_families",
        "ref.token_prices",
    ),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Sum up the attempts of each day, and spread what their pools cost beside serving."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("cost_per_token_daily"), days)}
