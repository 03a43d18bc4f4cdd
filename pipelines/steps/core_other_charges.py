"""core.other_charges: shared overhead of GPU pools."""

from models.costs.intervals import slots
from models.costs.overhead import other_charges
from models.finance.restatements import restate_charges
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.outdated import moved_overhead_hours

STEP = Step(
    table="core.other_charges",
    reads=("core.pool_hours", "ref.overhead"),
    restate=restate_charges,
    outdated_by=(moved_overhead_hours,),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Book the overhead of each hour to the pools in its scope."""
    rows = other_charges(
        inputs.rows("core.pool_hours", window.start, window.end),
        inputs.whole("ref.overhead"),
        slots(from_hour=window.start, to_hour=window.end, time_zone=window.time_zone),
        as_known_at=window.now,
    )
    return {"core.other_charges": rows}
