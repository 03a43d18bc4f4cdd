"""mart.cost_per_outcome: what the finished tasks of one's own records cost."""

from datetime import timedelta

from models.marts import mart_sql
from models.schemas import table
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs

_LOOK_BACK = timedelta(days=30)
"""How far before the day on which a task ends its session may have begun."""
STEP = Step(
    table="mart.cost_per_outcome",
    reads=(
        Read("raw.outcomes", before=_LOOK_BACK, after=_LOOK_BACK),
        Read("mart.cost_per_session", before=_LOOK_BACK),
    ),
)
_ANY = "SELECT count(*) FROM raw.outcomes WHERE finished_at >= $start AND finished_at < $end"


def compute(inputs: Inputs, window: Window) -> Frames:
    """Hold the tasks that ended on each day against what their sessions cost."""
    if not inputs.query(_ANY, window.span).item():
        return {STEP.table: table(STEP.table).empty()}
    parameters = {
        "from_on": window.from_on,
        "to_on": window.to_on,
        "early_on": window.from_on - _LOOK_BACK,
        "early": window.start - _LOOK_BACK,
        "late": window.end,
        "zone": window.time_zone,
        "least_ratio": inputs.project.settings.outcomes.least_coverage_percent / 100,
    }
    return {STEP.table: inputs.query(mart_sql("cost_per_outcome"), parameters)}
