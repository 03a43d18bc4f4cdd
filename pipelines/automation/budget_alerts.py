"""Tell of thresholds of budgets that are reached: each once."""

import dagster as dg
import duckdb

from models.errors import DataError
from pipelines.automation.described import sensor
from pipelines.automation.notices import send_once
from pipelines.warehouse.resource import Warehouse

_REACHED = """
SELECT budget, period_from, percent, min(on_day) AS on_day, arg_max(spent_usd, month_on) AS spent_usd,
  arg_max(budget_usd, month_on) AS budget_usd, arg_max(run_out_on, month_on) AS run_out_on
FROM (
  SELECT month_on, budget, period_from, spent_usd, budget_usd, run_out_on, unnest(thresholds_percent) AS percent,
    unnest(reached_on) AS on_day
  FROM mart.budget_status
)
WHERE on_day IS NOT NULL AND period_from >= (SELECT max(period_from) FROM mart.budget_status) - INTERVAL 1 YEAR
GROUP BY ALL ORDER BY on_day, budget, percent
"""


def alerts(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the sentence of each threshold that is reached, by budget, period and threshold."""
    return {
        f"{budget}/{period}/{percent}": f"The budget {budget} reached {percent} % on {on}: ${spent:,.2f} of "
        f"${allowed:,.2f} from {period}"
        + (f"; at this rate it runs out on {out}." if out and spent < allowed else ".")
        for budget, period, percent, on, spent, allowed, out in con.execute(_REACHED).fetchall()
    }


@sensor(300)
def budget_alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tell of every threshold of a budget that is reached, once, by a log line and the webhook."""
    warehouse: Warehouse = context.resources.warehouse
    try:
        with warehouse.reading() as con:
            found = alerts(con)
    except DataError as error:
        return dg.SensorResult(skip_reason=str(error))
    return send_once(context, warehouse, found, nothing="No threshold is newly reached.")
