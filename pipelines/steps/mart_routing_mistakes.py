"""mart.routing_mistakes: attempts that went to the wrong place, with what the better one would have saved."""

import polars as pl

from models.costs.weights import load_weights
from models.periods import HOUR
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import LONGEST_ATTEMPT
from pipelines.steps.outdated import moved_policy_days
from pipelines.steps.routes import TRAILING, judge_days, project_policy

STEP = Step(
    table="mart.routing_mistakes",
    also=("mart.routing_regret_daily", "mart.routing_coverage_daily"),
    reads=(
        Read("core.request_costs", before=TRAILING, after=HOUR),
        Read("core.pool_hours", before=TRAILING),
        Read("core.requests", before=LONGEST_ATTEMPT, after=HOUR),
        "core.replica_states",
        "core.replica_events",
        "ref.routing_policy",
        "ref.token_prices",
        "ref.models",
        "ref.deployments",
    ),
    outdated_by=(moved_policy_days,),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Judge the attempts of each day by the policy and by what else could be had."""
    project = inputs.project
    policy = project_policy(project, as_known_at=window.now)
    weights = load_weights(project.weights_text(), path=project.weights_path)
    judged = judge_days(inputs, window, policy=policy, weights=weights)
    return {
        dotted: pl.concat(parts) for dotted, parts in zip(STEP.tables, zip(*judged, strict=True), strict=True)
    }
