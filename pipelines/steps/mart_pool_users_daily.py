"""mart.pool_users_daily: who used each pool: tenant, team and credential, with their part of the whole bill."""

from models.marts import mart_sql
from models.periods import HOUR
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import LONGEST_ATTEMPT

STEP = Step(
    table="mart.pool_users_daily",
    reads=(
        "core.request_costs",
        Read("core.requests", before=LONGEST_ATTEMPT),
        "core.pool_hours",
        "ref.allocation_rules",
    ),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Split each pool-day over its users, by the pool's rule."""
    parameters = {
        "from_on": window.from_on,
        "to_on": window.to_on,
        "early": window.start - LONGEST_ATTEMPT,
        "late": window.end + HOUR,
    }
    return {STEP.table: inputs.query(mart_sql("pool_users_daily"), parameters)}
