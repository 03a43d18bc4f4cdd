"""mart.scoreboard: each model beside a proprietary reference on the same traffic."""

import polars as pl

from models.marts import mart_sql
from models.routing.quality import scores
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

_REFERENCES = {"route": pl.String, "provider": pl.String, "model": pl.String}
STEP = Step(
    table="mart.scoreboard",
    reads=("core.request_costs", "mart.cost_per_token_daily", "ref.token_prices"),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Score the models of each route and class of work, day by day."""
    project = inputs.project
    quality = scores(project.quality_text(), path=project.quality_path)
    factors = {
        name: score.tokens_ratio for name, score in quality.items() if score.conversion_error is not None
    }
    named = [(route, *one.split("/", 1)) for route, one in project.settings.scoreboard.references.items()]
    frames = {
        "factors": pl.DataFrame(
            {"name": list(factors), "tokens_ratio": list(factors.values())},
            schema={"name": pl.String, "tokens_ratio": pl.Float64},
        ),
        "wanted_references": pl.DataFrame(
            named, schema=dict.fromkeys(("route", "provider", "model"), pl.String), orient="row"
        ),
    }
    days = {"from_on": window.from_on, "to_on": window.to_on}
    return {STEP.table: inputs.query(mart_sql("scoreboard"), days, frames=frames)}
