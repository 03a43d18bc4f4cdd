"""mart.idle_cost_daily: what idle GPUs cost, and whose traffic kept them there."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.idle_cost_daily", reads=("core.pool_hours", "core.request_costs"))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Lay the idle dollars of each pool-hour on those who were served in it."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    target = {"target_percent": inputs.project.settings.gpu.target_utilization_percent}
    return {STEP.table: inputs.query(mart_sql("idle_cost_daily"), days | target)}
