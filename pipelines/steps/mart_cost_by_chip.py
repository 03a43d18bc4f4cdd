"""mart.cost_by_chip: the same model on different chips."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.cost_by_chip", reads=("core.request_costs", "core.pool_hours", "ref.model_families"))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Put the cost of a model on each chip side by side."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("cost_by_chip"), days)}
