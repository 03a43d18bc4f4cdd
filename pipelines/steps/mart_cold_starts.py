"""mart.cold_starts: every start of a replica, who waited for it and why it was."""

from models.cold_starts.starts import cold_starts
from models.costs.notices import with_deployments
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.starts import LONGEST_WAIT, START_LOOKBACK, waiting_requests

_LIVES = """
SELECT started_on AS on_day, max(changed_snapshot) AS snapshot
FROM mart.cold_starts JOIN core.replica_events USING (replica_id)
JOIN ops.partitions ON table_name = 'core.replica_events'
  AND partition_key = strftime(event_hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%MZ')
WHERE event_at >= requested_at AND (stopped_at IS NULL OR event_at <= stopped_at)
GROUP BY ALL
UNION ALL
SELECT DISTINCT started_on, (SELECT max(changed_snapshot) FROM ops.partitions WHERE table_name = 'core.replica_states')
FROM mart.cold_starts WHERE outcome = 'pending'
"""
"""A start is told whole on the day on which it was asked for, however late its replica is ready or stopped."""

STEP = Step(
    table="mart.cold_starts",
    also=("mart.cold_start_waits",),
    reads=(
        Read("core.requests", before=START_LOOKBACK, after=LONGEST_WAIT),
        Read("core.replica_states", before=START_LOOKBACK, after=LONGEST_WAIT),
        Read("core.replica_events", before=START_LOOKBACK, after=LONGEST_WAIT),
        "ref.gpu_prices",
    ),
    changed_beyond=_LIVES,
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Find the starts that were asked for on each day, in events and in requests."""
    around = {"early": window.start - START_LOOKBACK, "late": window.end + LONGEST_WAIT}
    span = window.span | around
    events = inputs.query(
        "FROM core.replica_events WHERE event_at >= $early AND event_at < $late OR replica_id IN "
        "(SELECT replica_id FROM core.replica_events WHERE event_at >= $start AND event_at < $end)",
        span,
    )
    states = inputs.query(
        "FROM core.replica_states WHERE state_hour >= $early AND state_hour < $late "
        "OR life_started_at >= $start AND life_started_at < $end",
        span,
    )
    starts, waits = cold_starts(
        with_deployments(events.lazy()),
        states.lazy(),
        waiting_requests(inputs, **around).lazy(),
        time_zone=window.time_zone,
        from_on=window.from_on,
        to_on=window.to_on,
    )
    return {STEP.table: starts, "mart.cold_start_waits": waits}
