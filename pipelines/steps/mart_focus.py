"""mart.focus: the ledger of a business day as FOCUS 1.4 charges."""

from models.marts import mart_sql
from models.schemas import table
from models.schemas.vocabulary import OUTPUT_CLASSES, TOKEN_CLASSES
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="mart.focus",
    reads=("mart.cost_per_meter_daily", "core.request_costs", "core.pool_hours", "core.other_charges"),
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Write usage of tokens, parts of pools and other charges as FOCUS names them."""
    rows = inputs.query(
        mart_sql("focus"),
        {
            "from_on": window.from_on,
            "to_on": window.to_on,
            "zone": window.time_zone,
            "tokens": list(TOKEN_CLASSES),
            "outputs": list(OUTPUT_CLASSES),
        },
    )
    return {STEP.table: table(STEP.table).conform(rows.lazy(), fill=True).collect()}
