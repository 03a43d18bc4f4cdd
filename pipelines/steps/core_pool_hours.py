"""core.pool_hours: the bill of each pool of GPUs, hour by hour, and its parts."""

from models.costs.pools import pool_hours
from models.finance.restatements import restate_pools
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import LONGEST_ATTEMPT, live_events, parted
from pipelines.steps.outdated import moved_gpu_hours

STEP = Step(
    table="core.pool_hours",
    reads=(
        Read("core.requests", before=LONGEST_ATTEMPT),
        "core.replica_events",
        "core.replica_states",
        "ref.gpu_prices",
        "ref.commitments",
        "ref.deployments",
        "ref.models",
    ),
    restate=restate_pools,
    outdated_by=(moved_gpu_hours,),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Bill each pool for its replicas, and tell what of it served."""
    rows = pool_hours(
        live_events(inputs, window).lazy(),
        inputs.rows("core.replica_states", window.start, window.end).lazy(),
        parted(inputs, window)[0].lazy(),
        prices=inputs.whole("ref.gpu_prices").lazy(),
        time_zone=window.time_zone,
        as_known_at=window.now,
        from_hour=window.start,
        to_hour=window.end,
        commitments=inputs.whole("ref.commitments"),
        provisional_from=window.now - inputs.project.max_request_duration,
    )
    return {"core.pool_hours": rows}
