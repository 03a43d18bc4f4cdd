"""What a bill asks for is what the ledger holds, or the difference has a name."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome
from pipelines.limits import BillSettings
from pipelines.settings import Settings

_QUERY = """
SELECT invoice_issuer_name,
  concat_ws(' ', invoice_issuer_name, coalesce(invoice_id, strftime(billing_period_start, '%Y-%m'))) AS bill,
  sum(invoiced_usd) AS invoiced_usd, sum(ledger_usd) AS ledger_usd, sum(abs(unexplained_usd)) AS unexplained_usd,
  count(*) FILTER (invoiced_usd IS NULL) AS unknown_count
FROM mart.invoice_reconciliation WHERE billed_on >= $start AND billed_on < $end
GROUP BY ALL ORDER BY unexplained_usd DESC NULLS FIRST, bill
"""


def _judge(
    con: duckdb.DuckDBPyConnection, start: Bound, end: Bound, limits: BillSettings | None = None
) -> Outcome:
    tolerances = limits or BillSettings()
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    if not rows:
        return Outcome(is_passed=True, summary="No bill of these days has landed.", severity="warn")

    def allowed(issuer: str, invoiced: Decimal | None) -> Decimal:
        ratio, usd = tolerances.tolerance_of(issuer)
        return max(usd, Decimal(str(ratio)) * abs(invoiced or Decimal(0)))

    off = [row[1:] for row in rows if row[5] or row[4] > allowed(row[0], row[2])]
    without_rate = sum(row[-1] > 0 for row in off)
    said = f"; {without_rate} of them have rows without an exchange rate in fx.csv" if without_rate else ""
    return Outcome(
        is_passed=not off,
        failed_count=len(off),
        failed_ids=[
            f"{bill}: {_found(invoiced, unexplained, unknown)}"
            for bill, invoiced, _, unexplained, unknown in off
        ],
        summary=(
            f"{len(off)} of {len(rows)} bills differ from the ledger by what nothing explains; "
            f"see mart.invoice_reconciliation{said}."
            if off
            else f"Of {len(rows)} bills every difference from the ledger has a name."
        ),
    )


def _found(invoiced: Decimal | None, unexplained: Decimal | None, unknown: int) -> str:
    """Say what of a bill nothing explains, and how many of its rows have no dollars to compare."""
    without_rate = f"{unknown} rows without an exchange rate in fx.csv"
    if invoiced is None or unexplained is None:
        return without_rate
    return f"${unexplained:,.2f} of ${invoiced:,.2f} unexplained" + (f", {without_rate}" if unknown else "")


def _limits(settings: Settings) -> BillSettings:
    return settings.bills


CHECK = DomainCheck(
    name="invoice_reconciles",
    table="mart.invoice_reconciliation",
    grain="daily",
    description="the difference between a bill and the ledger is explained",
    judge=_judge,
    limits=_limits,
)
