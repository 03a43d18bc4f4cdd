"""mart.budget_status: how far each budget is spent, how fast, and when it runs out."""

from datetime import timedelta

import polars as pl

from models.finance.budgets import budget_status
from models.schemas.cost_kinds import KIND_OF_COMPONENT
from models.schemas.ref_budgets import BUDGET_SCOPE
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import (
    LONGEST_MONTH,
    known_until,
    month_after,
    months_of,
    moved_by,
    settled,
    whole_months,
)

_LONGEST_PERIOD = timedelta(days=366)
STEP = Step(
    table="mart.budget_status",
    reads=(
        Read("mart.spend_daily", before=_LONGEST_PERIOD, after=LONGEST_MONTH),
        "ref.budgets",
    ),
    outdated_by=(moved_by("mart.budget_status", "budgets"),),
    covers=whole_months,
)
_SPEND = f"""
SELECT accrued_on, component, {", ".join(BUDGET_SCOPE)}, sum(usd)::DECIMAL(38,12) AS usd,
  sum(unpriced_tokens)::BIGINT AS unpriced_tokens
FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Hold the spend of each budget's period against it, as far as its business days have ended."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    budgets = inputs.whole("ref.budgets")
    known = known_until(inputs, window)
    if not months or budgets.is_empty() or known is None:
        return {STEP.table: kept}
    days = {"from_on": months[0].replace(month=1), "to_on": month_after(months[-1])}
    spend = inputs.query(_SPEND, days).with_columns(
        pl.col("component").replace_strict(KIND_OF_COMPONENT, return_dtype=pl.String).alias("cost_kind")
    )
    rows = budget_status(spend, budgets, months=months, as_of=known)
    return {STEP.table: pl.concat([kept, rows])}
