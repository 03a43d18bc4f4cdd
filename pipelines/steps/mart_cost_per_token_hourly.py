"""mart.cost_per_token_hourly: cost and tokens by hour."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.cost_per_token_hourly", reads=("core.request_costs",))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Sum up the attempts of each hour."""
    hours = {"from_hour": window.start, "to_hour": window.end}
    return {STEP.table: inputs.query(mart_sql("cost_per_token_hourly"), hours)}
