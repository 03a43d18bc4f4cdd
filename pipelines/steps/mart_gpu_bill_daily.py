"""mart.gpu_bill_daily: the GPU bill of a business day, with idle split into headroom and waste."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.gpu_bill_daily", reads=("core.pool_hours",))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Sum up the pool-hours of each day."""
    target = inputs.project.settings.gpu.target_utilization_percent
    parameters = {"from_on": window.from_on, "to_on": window.to_on, "target_percent": target}
    return {STEP.table: inputs.query(mart_sql("gpu_bill_daily"), parameters)}
