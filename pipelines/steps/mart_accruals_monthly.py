"""mart.accruals_monthly: what was accrued for a month, what its bills ask for, and why they differ."""

import polars as pl

from models.finance.accruals import accruals
from models.schemas import table
from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import closed_months, month_after, months_of, of_the_month, whole_months

STEP = Step(
    table="mart.accruals_monthly",
    reads=(
        of_the_month("mart.spend_daily"),
        of_the_month("mart.invoice_reconciliation"),
        of_the_month("core.invoice_lines"),
    ),
    covers=whole_months,
)
_LEDGER = """
SELECT date_trunc('month', accrued_on)::DATE AS month_on, provider, sum(usd)::DECIMAL(38,12) AS usd
FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL HAVING sum(usd) IS NOT NULL
"""
_TERMS = ", ".join(f"sum({name}_usd)::DECIMAL(38,12) AS {name}_usd" for name in RECONCILIATION_TERMS)
# A bill counts once it is issued, or once its period was over when it came: not the first days of a cost API.
_BILLS = f"""
WITH whole AS (
  SELECT source, invoice_issuer_name, billing_account_id, billing_period_start,
    max(delivered_at) AS delivered_at
  FROM core.invoices
  WHERE billed_on >= $from_on AND billed_on < $to_on
    AND (invoice_issue_status = 'Issued' OR delivered_at >= billing_period_end)
  GROUP BY ALL
)
SELECT date_trunc('month', billed_on)::DATE AS month_on, r.invoice_issuer_name,
  CASE WHEN count(*) = count(invoiced_usd) THEN sum(invoiced_usd)::DECIMAL(38,12) END AS invoiced_usd,
  sum(ledger_usd)::DECIMAL(38,12) AS ledger_usd, {_TERMS},
  count(DISTINCT (r.source, r.billing_account_id, r.billing_period_start, r.invoice_id)) AS bill_count,
  count(*) - count(invoiced_usd) AS unknown_count,
  (max(w.delivered_at) AT TIME ZONE $zone)::DATE AS delivered_on
FROM mart.invoice_reconciliation r JOIN whole w ON w.source = r.source
  AND w.invoice_issuer_name = r.invoice_issuer_name AND w.billing_period_start = r.billing_period_start
  AND w.billing_account_id IS NOT DISTINCT FROM r.billing_account_id
WHERE billed_on >= $from_on AND billed_on < $to_on
GROUP BY ALL
"""
_ISSUERS = """
SELECT provider, arg_max(invoice_issuer_name, {'on': billed_on, 'usd': usd, 'name': invoice_issuer_name})
  AS invoice_issuer_name
FROM (
  SELECT provider, invoice_issuer_name, billed_on, sum(ledger_usd) AS usd
  FROM mart.invoice_reconciliation WHERE provider IS NOT NULL GROUP BY ALL
)
GROUP BY ALL
"""
_CORRECTIONS = """
SELECT date_trunc('month', accrued_on)::DATE AS month_on, date_trunc('month', booked_on)::DATE AS booked_on,
  provider, sum(difference_usd)::DECIMAL(38,12) AS usd
FROM core.adjustments WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Hold the bills of the months that begin in the window against what was accrued for them."""
    months = months_of(window)
    if not months:
        return {STEP.table: table(STEP.table).empty()}
    days = {"from_on": months[0], "to_on": month_after(months[-1])}
    closed = closed_months(inputs)
    kept = inputs.query(
        f"FROM {STEP.table} WHERE month_on >= $from_on AND month_on < $to_on "
        "AND list_contains($closed::DATE[], booked_on)",
        days | {"closed": closed},
    )
    rows = accruals(
        inputs.query(_LEDGER, days),
        inputs.query(_BILLS, days | {"zone": window.time_zone}),
        inputs.query(_CORRECTIONS, days),
        issuers=inputs.query(_ISSUERS),
        kept=table(STEP.table).conform(kept.lazy(), fill=True).collect(),
        closed=closed,
    )
    return {STEP.table: rows.filter(pl.col("month_on").is_in(months))}
