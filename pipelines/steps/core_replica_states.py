"""core.replica_states: what state each replica was in, with its dollars."""

from models.costs.states import replica_states
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import live_events
from pipelines.steps.outdated import moved_gpu_hours

STEP = Step(
    table="core.replica_states",
    reads=("core.replica_events", "ref.gpu_prices", "ref.commitments"),
    outdated_by=(moved_gpu_hours,),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Follow each replica that lived in the window through its states, at the prices known now."""
    rows = replica_states(
        live_events(inputs, window).lazy(),
        prices=inputs.whole("ref.gpu_prices").lazy(),
        time_zone=window.time_zone,
        as_known_at=window.now,
        from_hour=window.start,
        to_hour=window.end,
        commitments=inputs.whole("ref.commitments"),
    )
    return {"core.replica_states": rows}
