"""mart.spend_anomalies: days whose spend lies outside its range, with why."""

from datetime import timedelta

from models.finance.anomalies import REACH_DAYS, explained, unusual_days
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.mart_spend_forecast import SCOPED

_REACH = timedelta(days=REACH_DAYS)
_SCOPES_AT_MOST = 50
STEP = Step(table="mart.spend_anomalies", reads=(Read("mart.spend_daily", before=_REACH),))
_DAILY = f"""
WITH {SCOPED}
SELECT scope_kind, scope, accrued_on, coalesce(sum(usd), 0)::DECIMAL(38,12) AS usd
FROM scoped JOIN shown USING (scope_kind, scope) GROUP BY ALL ORDER BY ALL
"""
_ROWS = """
WITH sides AS (
  SELECT scope_kind, scope, accrued_on, against_on, 1 AS side, accrued_on AS on_day FROM unusual
  UNION ALL SELECT scope_kind, scope, accrued_on, against_on, 0, against_on FROM unusual
),
spent AS (
  SELECT u.* EXCLUDE (on_day), component, provider, model, region, service_tier, chip, usd,
    input_tokens + output_tokens - unpriced_tokens AS tokens
  FROM sides u JOIN mart.spend_daily d ON d.accrued_on = u.on_day AND CASE u.scope_kind WHEN 'provider' THEN d.provider
    WHEN 'tenant' THEN d.tenant WHEN 'team' THEN d.team ELSE 'total' END = u.scope
)
"""
_USAGE = f"""
{_ROWS}
SELECT scope_kind, scope, accrued_on, against_on, side, provider, model, region, service_tier, chip, 'gpu' AS meter,
  sum(tokens)::DECIMAL(38,6) AS quantity, sum(usd)::DECIMAL(38,12) AS usd
FROM spent WHERE component IN ('tokens', 'gpu_serving') GROUP BY ALL
"""
_OTHERS = f"""
{_ROWS}
SELECT scope_kind, scope, accrued_on, against_on, side, provider, model, region, service_tier, chip,
  CASE component WHEN 'gpu_idle' THEN 'idle' WHEN 'gpu_starting' THEN 'cold_start'
    WHEN 'gpu_unused_commitment' THEN 'commitment' ELSE 'other' END AS cause,
  sum(usd)::DECIMAL(38,12) AS usd
FROM spent WHERE component NOT IN ('tokens', 'gpu_serving') GROUP BY ALL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Hold each day of the window against the weeks before it, and bridge those that are unusual from a usual one."""
    day = timedelta(days=1)
    daily = inputs.query(
        _DAILY,
        {
            "from_on": window.from_on - _REACH - day,
            "to_on": window.to_on - day,
            "recent_on": window.from_on - _REACH - day,
            "most": _SCOPES_AT_MOST,
        },
    )
    unusual = unusual_days(daily, first=window.from_on, last=window.to_on)
    rows = [inputs.query(sql, frames={"unusual": unusual}) for sql in (_USAGE, _OTHERS)]
    return {STEP.table: explained(unusual, *rows)}
