"""mart.chargeback_monthly: the month's bill by who pays it."""

from datetime import timedelta

import polars as pl

from models.finance.chargeback import chargeback, signed
from models.schemas.cost_kinds import KIND_OF_COMPONENT
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import (
    closed_months,
    month_after,
    months_of,
    moved_by,
    of_the_month,
    settled,
    whole_months,
)

_LATEST_BILL = timedelta(days=400)
"""How long after the first day of a month its bills may come."""

STEP = Step(
    table="mart.chargeback_monthly",
    reads=(
        of_the_month("mart.spend_daily"),
        # A bill of an earlier month is trued up in the month in which it comes.
        Read("mart.accruals_monthly", before=_LATEST_BILL),
        "ref.chargeback_rules",
        "ref.cost_centres",
        "ref.signoffs",
        "ref.allocation_rules",
    ),
    outdated_by=(
        moved_by(
            "mart.chargeback_monthly", "chargeback_rules", "cost_centres", "signoffs", "allocation_rules"
        ),
    ),
    covers=whole_months,
)
_COSTS = """
SELECT accrued_on, date_trunc('month', accrued_on)::DATE AS month_on, component, provider, region, chip, deployment,
  commitment, tenant, team, sum(usd)::DECIMAL(38,12) AS usd, sum(attempt_count)::BIGINT AS attempt_count,
  sum(input_tokens + output_tokens)::BIGINT AS total_tokens, sum(unpriced_tokens)::BIGINT AS unpriced_tokens
FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL
"""
# A correction of a call is its caller's; one of a pool goes to those who use the pool.
_CORRECTIONS = """
SELECT booked_on AS accrued_on, date_trunc('month', booked_on)::DATE AS month_on, 'correction' AS cost_kind,
  provider, deployment, tenant, team, sum(difference_usd)::DECIMAL(38,12) AS usd
FROM core.adjustments WHERE booked_on >= $from_on AND booked_on < $to_on
GROUP BY ALL
"""
# Reclassing an accrual from one issuer to another moves nobody's cost.
_TRUE_UPS = """
SELECT booked_on AS accrued_on, booked_on AS month_on, provider, cost_kind, sum(usd)::DECIMAL(38,12) AS usd
FROM (
  SELECT booked_on, provider, unnest([
      {'cost_kind': 'fee', 'usd': fee_usd}, {'cost_kind': 'credit', 'usd': credit_usd},
      {'cost_kind': 'true_up', 'usd': true_up_usd - fee_usd - credit_usd}
    ], recursive := true)
  FROM mart.accruals_monthly WHERE booked_on >= $from_on AND booked_on < $to_on
)
GROUP BY ALL HAVING sum(usd) <> 0
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Split the open months that begin in the window; of closed ones only the sign-offs are read anew."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    rows = kept
    if months:
        days = {"from_on": months[0], "to_on": month_after(months[-1])}
        costs = inputs.query(_COSTS, days).with_columns(
            pl.col("component").replace_strict(KIND_OF_COMPONENT, return_dtype=pl.String).alias("cost_kind")
        )
        split = chargeback(
            pl.concat(
                [
                    costs.drop("component"),
                    inputs.query(_CORRECTIONS, days),
                    inputs.query(_TRUE_UPS, days),
                ],
                how="diagonal_relaxed",
            ).filter(pl.col("month_on").is_in(months)),
            rules=inputs.whole("ref.chargeback_rules"),
            centres=inputs.whole("ref.cost_centres"),
            quotas=inputs.whole("ref.allocation_rules"),
        )
        rows = pl.concat([kept, split], how="diagonal_relaxed")
    return {STEP.table: signed(rows, inputs.whole("ref.signoffs"), closed=closed_months(inputs))}
