"""mart.cost_per_session: what conversations, agents' runs and tasks cost."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import LONGEST_ATTEMPT

STEP = Step(
    table="mart.cost_per_session",
    reads=("core.request_costs", Read("core.requests", before=LONGEST_ATTEMPT)),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Add up the attempts of each session of each day."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    started = {"early": window.start - LONGEST_ATTEMPT, "late": window.end}
    return {STEP.table: inputs.query(mart_sql("cost_per_session"), days | started)}
