"""mart.spend_variance: the bridge from the month before, and from the same month a year before."""

from datetime import date, timedelta

import polars as pl

from models.finance.variance import spend_variance
from models.schemas import table
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import LONGEST_MONTH, months_of, settled, whole_months

_YEAR = timedelta(days=366)
STEP = Step(
    table="mart.spend_variance",
    reads=(
        Read("mart.spend_daily", before=_YEAR, after=LONGEST_MONTH),
        Read("mart.cost_per_meter_daily", before=_YEAR, after=LONGEST_MONTH),
        Read("mart.accruals_monthly", before=_YEAR),
    ),
    covers=whole_months,
)
_SIDES = """
WITH pairs AS (SELECT unnest($months::DATE[]) AS month_on, unnest($against::DATE[]) AS against_on),
sides AS (
  SELECT month_on, against_on, 1 AS side, month_on AS of_month FROM pairs
  UNION ALL SELECT month_on, against_on, 0, against_on FROM pairs
)
"""
_USAGE = f"""
{_SIDES}
SELECT s.* EXCLUDE (of_month), provider, model, region, service_tier, NULL::VARCHAR AS chip, meter,
  sum(quantity)::DECIMAL(38,6) AS quantity, sum(usage_usd)::DECIMAL(38,12) AS usd
FROM sides s JOIN mart.cost_per_meter_daily ON date_trunc('month', accrued_on)::DATE = of_month
WHERE accrued_on >= $first AND accrued_on < $last GROUP BY ALL
UNION ALL BY NAME
SELECT s.* EXCLUDE (of_month), provider, model, region, NULL::VARCHAR AS service_tier, chip, 'gpu' AS meter,
  sum(input_tokens + output_tokens - unpriced_tokens)::DECIMAL(38,6) AS quantity, sum(usd)::DECIMAL(38,12) AS usd
FROM sides s JOIN mart.spend_daily ON date_trunc('month', accrued_on)::DATE = of_month
WHERE component = 'gpu_serving' AND accrued_on >= $first AND accrued_on < $last GROUP BY ALL
"""
_FOREIGN = f"""
{_SIDES}
SELECT s.* EXCLUDE (of_month), provider, model, region, service_tier, NULL::VARCHAR AS chip,
  sum(foreign_usd)::DECIMAL(38,12) AS foreign_usd, sum(foreign_amount)::DECIMAL(38,12) AS foreign_amount
FROM sides s JOIN mart.spend_daily ON date_trunc('month', accrued_on)::DATE = of_month
WHERE component = 'tokens' AND foreign_usd IS NOT NULL AND accrued_on >= $first AND accrued_on < $last GROUP BY ALL
"""
_OTHERS = f"""
{_SIDES},
costs AS (
  SELECT date_trunc('month', accrued_on)::DATE AS of_month, provider, model, region, NULL::VARCHAR AS service_tier,
    chip, CASE component WHEN 'gpu_idle' THEN 'idle' WHEN 'gpu_starting' THEN 'cold_start'
      WHEN 'gpu_unused_commitment' THEN 'commitment' ELSE 'other' END AS cause, usd
  FROM mart.spend_daily
  WHERE component NOT IN ('tokens', 'gpu_serving') AND accrued_on >= $first AND accrued_on < $last
  UNION ALL BY NAME
  SELECT date_trunc('month', booked_on)::DATE AS of_month, 'correction' AS cause, provider, region, model, chip,
    difference_usd AS usd
  FROM core.adjustments WHERE booked_on >= $first AND booked_on < $last
  UNION ALL BY NAME
  SELECT booked_on AS of_month, provider, 'currency' AS cause, fx_usd AS usd FROM mart.accruals_monthly
  WHERE booked_on >= $first AND booked_on < $last
  UNION ALL BY NAME
  SELECT booked_on AS of_month, provider, 'bill' AS cause, true_up_usd - fx_usd AS usd FROM mart.accruals_monthly
  WHERE booked_on >= $first AND booked_on < $last
)
SELECT s.* EXCLUDE (of_month), cause, provider, model, region, service_tier, chip, sum(usd)::DECIMAL(38,12) AS usd
FROM sides s JOIN costs USING (of_month) GROUP BY ALL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Bridge the months that begin in the window from those before them that have any spend."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    rows = bridge(inputs, _pairs(inputs, months)) if months else table(STEP.table).empty()
    return {STEP.table: pl.concat([kept, rows])}


def bridge(inputs: Inputs, pairs: list[tuple[date, date]]) -> pl.DataFrame:
    """Return the rows of pairs of a month and an earlier one."""
    if not pairs:
        return table(STEP.table).empty()
    months, against = (list(side) for side in zip(*pairs, strict=True))
    last = max(months)
    parameters = {
        "months": months,
        "against": against,
        "first": min(against),
        "last": (last + timedelta(days=31)).replace(day=1),
    }
    return spend_variance(*(inputs.query(sql, parameters) for sql in (_USAGE, _FOREIGN, _OTHERS)))


def _pairs(inputs: Inputs, months: list[date]) -> list[tuple[date, date]]:
    known = inputs.query(
        "SELECT DISTINCT date_trunc('month', accrued_on)::DATE AS on_month FROM mart.spend_daily"
    )
    with_spend = set(known.get_column("on_month"))
    pairs = []
    for month in months:
        before = (month - timedelta(days=1)).replace(day=1)
        year_before = month.replace(year=month.year - 1)
        pairs += [(month, earlier) for earlier in (before, year_before) if earlier in with_spend]
    return pairs
