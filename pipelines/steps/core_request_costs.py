"""core.request_costs: what each attempt cost, by its tokens or by the GPU time that it had."""

import polars as pl

from models.costs.allocation import allocate_requests
from models.costs.asked import with_asked
from models.costs.token_costs import price_requests
from models.costs.weights import load_weights
from models.finance.restatements import restate_requests
from models.schemas import table
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import LONGEST_ATTEMPT, parted
from pipelines.steps.outdated import moved_gpu_hours, moved_token_hours

STEP = Step(
    table="core.request_costs",
    reads=(
        Read("core.requests", before=LONGEST_ATTEMPT),
        "core.replica_events",
        "core.replica_states",
        "ref.token_prices",
        "ref.models",
        "ref.deployments",
        "ref.model_families",
        "ref.fx_rates",
        "ref.gpu_prices",
    ),
    restate=restate_requests,
    outdated_by=(moved_token_hours, moved_gpu_hours),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Split the dollars of ready replicas over the attempts on them, and price all others by their tokens."""
    project = inputs.project
    on_pools, others = (with_asked(part) for part in parted(inputs, window))
    token_rows = token_costs(inputs, window, others)
    gpu_rows = allocate_requests(
        on_pools.lazy(),
        inputs.rows("core.replica_states", window.start, window.end).lazy(),
        rule=project.allocation_rule,
        weights=load_weights(project.weights_text(), path=project.weights_path),
        time_zone=window.time_zone,
        from_hour=window.start,
        to_hour=window.end,
        provisional_from=window.now - project.max_request_duration,
    )
    families = inputs.query("FROM ref.model_families").lazy()
    gpu_rows = gpu_rows.drop("model_family").join(
        families, left_on=pl.col("model").str.to_lowercase(), right_on="name", how="left"
    )
    schema = table("core.request_costs")
    parts = [schema.conform(rows, fill=True) for rows in (token_rows, gpu_rows)]
    return {"core.request_costs": pl.concat(pl.collect_all(parts, engine="in-memory"))}


def token_costs(inputs: Inputs, window: Window, running: pl.DataFrame) -> pl.LazyFrame:
    """Price attempts by their tokens at the prices known now."""
    return price_requests(
        running.lazy(),
        book=inputs.whole("ref.token_prices").lazy(),
        models=inputs.whole("ref.models").lazy(),
        fx=inputs.whole("ref.fx_rates").lazy(),
        time_zone=window.time_zone,
        as_known_at=window.now,
        from_hour=window.start,
        to_hour=window.end,
    )
