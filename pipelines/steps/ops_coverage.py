"""ops.coverage: how far the figures of a business day can be trusted."""

from models.marts import mart_sql
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="ops.coverage",
    reads=(
        "core.requests",
        "core.request_costs",
        Read("ops.duplicates", after=lambda project: project.dedupe_window),
        # A file that is read again has other counts of quarantined records.
        "raw.requests",
    ),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Count what of each day is priced, measured, late, duplicate or quarantined."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("coverage"), days)}
