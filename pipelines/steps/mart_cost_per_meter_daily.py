"""mart.cost_per_meter_daily: what bills are held against."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.cost_per_meter_daily", reads=("core.request_costs", "ref.token_prices"))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Add up token-priced usage by meter, UTC day and place."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("cost_per_meter_daily"), days)}
