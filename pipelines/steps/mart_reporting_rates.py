"""mart.reporting_rates: the exchange rates at which a month is reported; a closed month keeps its own."""

from models.schemas import table
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import months_of, moved_by, of_the_month, settled, whole_months

STEP = Step(
    table="mart.reporting_rates",
    reads=(of_the_month("mart.spend_daily"), "ref.fx_rates"),
    outdated_by=(moved_by("mart.reporting_rates", "fx_rates"),),
    covers=whole_months,
)
_RATES = """
WITH months AS (SELECT unnest($months::DATE[]) AS month_on)
SELECT month_on, currency, arg_max(usd_per_unit, (rate_on, known_from)) AS usd_per_unit,
  max(rate_on) AS rate_on, arg_max(source_url, (rate_on, known_from)) AS source_url
FROM months JOIN ref.fx_rates ON rate_on < month_on + INTERVAL 1 MONTH AND known_from <= $now
GROUP BY ALL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Take the latest rate of each currency on or before the last day of each month."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    rows = inputs.query(_RATES, {"months": months, "now": window.now})
    found = table(STEP.table).conform(rows.lazy()).collect()
    return {STEP.table: found.vstack(kept).sort("month_on", "currency")}
