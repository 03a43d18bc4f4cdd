"""mart.capacity_daily: provisioned throughput by day: utilisation by tokens, spill-over, and its cost on demand."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="mart.capacity_daily",
    reads=("core.request_costs", "core.pool_hours", "mart.break_even", "ref.capacity_rates"),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Set what each deployment's units did beside what they cost."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("capacity_daily"), days)}
