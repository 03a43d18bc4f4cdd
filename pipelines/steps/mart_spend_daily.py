"""mart.spend_daily: the whole spend of a business day by what it is for and who asked for it."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.spend_daily", reads=("core.request_costs", "core.pool_hours", "core.other_charges"))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Add up attempts, what pools cost beside them, and other charges."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("spend_daily"), days)}
