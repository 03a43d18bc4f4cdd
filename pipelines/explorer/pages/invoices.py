"""Invoices and close: bills against the ledger, months that are closed, and what was corrected since."""

from collections.abc import Mapping
from typing import Any

from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.view import ViewColumn

_BILLS = "mart.invoice_reconciliation"
_CAUSES = ("coverage", "timing", "quantity", "rate", "fee", "credit", "fx", "unexplained")
_NO_ID = "(not named yet)"
_LEAD = (
    "What each bill asks for against what the ledger holds, split by why they differ; the causes sum to the difference. "
    "Months that touch the period."
)


def build(asked: PageContext) -> Content:
    """Show bills, accruals, closed months and corrections."""
    return Content(
        _LEAD, (_bills(asked), _accruals(asked), _closed(asked), _corrections(asked), _budgets(asked))
    )


def _months(asked: PageContext) -> str:
    return f"BETWEEN DATE '{asked.state.first.replace(day=1)}' AND DATE '{asked.state.last}'"


def _bills(asked: PageContext) -> Figure:
    state = asked.state
    where = " AND ".join([f"billed_on {_months(asked)}", *state.conditions(_BILLS)])
    causes = ",\n".join(f"  sum({cause}_usd)::DECIMAL(38,12) AS {cause}_usd" for cause in _CAUSES)
    return ask(
        asked.opened, "bills", "Bills against the ledger",
        f"SELECT invoice_issuer_name, coalesce(invoice_id, '{_NO_ID}') AS invoice_id, billed_on,\n"
        "  sum(invoiced_usd)::DECIMAL(38,12) AS invoiced_usd, sum(ledger_usd)::DECIMAL(38,12) AS ledger_usd,\n"
        f"  sum(difference_usd)::DECIMAL(38,12) AS difference_usd,\n{causes},\n"
        "  count(*) FILTER (invoiced_usd IS NULL) AS without_rate\n"
        f"FROM {_BILLS}\nWHERE {where}\nGROUP BY 1, 2, 3\nORDER BY billed_on, invoiced_usd DESC NULLS LAST, 1, 2",
        [
            ViewColumn("invoice_issuer_name", "Issuer"), ViewColumn("invoice_id", "Invoice"), ViewColumn("billed_on", "From"),
            ViewColumn("invoiced_usd", "Billed", "usd", is_summed=True), ViewColumn("ledger_usd", "Ledger", "usd", is_summed=True),
            ViewColumn("difference_usd", "Difference", "usd", is_summed=True),
            *(ViewColumn(f"{cause}_usd", cause.capitalize(), "usd", is_summed=True) for cause in _CAUSES),
            ViewColumn("without_rate", "Rows without an exchange rate", "count"),
        ],
        coverage="Usage that no log tells of, or that has no price, is the cause coverage.",
        links={"invoice_id": lambda row: state.url("/invoice", id=_named(row))},
        notes=state.unheard(_BILLS), none="No bill of these months has been read; docs/bills.md says how.",
    )  # fmt: skip


def _named(row: Mapping[str, Any]) -> str:
    """Return by what name an invoice is opened: one that has no id yet by its issuer and month."""
    if row["invoice_id"] == _NO_ID:
        return f"{row['invoice_issuer_name']} {row['billed_on']:%Y-%m}"
    return str(row["invoice_id"])


def _accruals(asked: PageContext) -> Figure:
    table = "mart.accruals_monthly"
    where = " AND ".join([f"month_on {_months(asked)}", *asked.state.conditions(table)])
    return ask(
        asked.opened, "accruals", "Accrued and invoiced",
        "SELECT month_on, booked_on, coalesce(invoice_issuer_name, provider, '(not known)') AS issuer, accrued_usd,\n"
        f"  corrected_usd, invoiced_usd, true_up_usd, bill_count\nFROM {table}\nWHERE {where}\n"
        "ORDER BY month_on, booked_on, accrued_usd DESC, issuer",
        [
            ViewColumn("month_on", "Month"), ViewColumn("booked_on", "Booked in"), ViewColumn("issuer", "Issuer"),
            ViewColumn("accrued_usd", "Accrued", "usd", is_summed=True), ViewColumn("corrected_usd", "Corrected", "usd", is_summed=True),
            ViewColumn("invoiced_usd", "Invoiced", "usd", is_summed=True), ViewColumn("true_up_usd", "True-up", "usd", is_summed=True),
            ViewColumn("bill_count", "Bills", "count"),
        ],
        coverage="A month without a bill is an accrual still.",
        notes=asked.state.unheard(table),
    )  # fmt: skip


def _closed(asked: PageContext) -> Figure:
    return ask(
        asked.opened, "closed", "Closed months",
        "SELECT period, closed_at, closed_by, known_at, reopened_at, reopened_by, reopen_reason\n"
        "FROM ops.closed_periods\nORDER BY closed_from DESC, closed_at DESC",
        [
            ViewColumn("period", "Month"), ViewColumn("closed_at", "Closed, UTC"), ViewColumn("closed_by", "By"),
            ViewColumn("known_at", "On what was known by"), ViewColumn("reopened_at", "Opened again"),
            ViewColumn("reopened_by", "By"), ViewColumn("reopen_reason", "Why"),
        ],
        coverage="A closed month moves by corrections with a reason only.",
        none="No month is closed; `nanodollar close YYYY-MM` closes one.",
    )  # fmt: skip


def _corrections(asked: PageContext) -> Figure:
    state, table = asked.state, "core.adjustments"
    return ask(
        asked.opened, "corrections", "Corrections booked in the period",
        "SELECT booked_on, strftime(accrued_on, '%Y-%m') AS month, reason, count(*) AS corrections,\n"
        "  sum(old_usd)::DECIMAL(38,12) AS old_usd, sum(new_usd)::DECIMAL(38,12) AS new_usd,\n"
        f"  sum(difference_usd)::DECIMAL(38,12) AS difference_usd\nFROM {table}\n"
        f"WHERE {state.where(table, 'booked_on')}\nGROUP BY 1, 2, 3\nORDER BY 1, 2, 3",
        [
            ViewColumn("booked_on", "Booked on"), ViewColumn("month", "Corrects"), ViewColumn("reason", "Why"),
            ViewColumn("corrections", "Figures", "count", is_summed=True), ViewColumn("old_usd", "Before", "usd", is_summed=True),
            ViewColumn("new_usd", "After", "usd", is_summed=True), ViewColumn("difference_usd", "Difference", "usd", is_summed=True),
        ],
        coverage="Every correction of a closed month is in it.", notes=state.unheard(table),
        none="None: no closed month was corrected in this period.",
    )  # fmt: skip


def _budgets(asked: PageContext) -> Figure:
    month = asked.state.last.replace(day=1)
    return ask(
        asked.opened, "budgets", f"Budgets in {month:%B %Y}",
        "SELECT budget, spent_usd, budget_usd, spent_ratio, remaining_usd, burn_usd_per_day, projected_usd, run_out_on,\n"
        f"  as_of_on, unpriced_tokens\nFROM mart.budget_status\nWHERE month_on = DATE '{month}'\nORDER BY budget",
        [
            ViewColumn("budget", "Budget"), ViewColumn("spent_usd", "Spent", "usd"), ViewColumn("budget_usd", "Of", "usd"),
            ViewColumn("spent_ratio", "Share", "ratio"), ViewColumn("remaining_usd", "Left", "usd"),
            ViewColumn("projected_usd", "At this pace", "usd"), ViewColumn("run_out_on", "Runs out on"), ViewColumn("as_of_on", "As of"),
            ViewColumn("unpriced_tokens", "Tokens without a price", "count"),
        ],
        coverage="Tokens without a price are in no dollar of a budget.",
        none="No budget is set; docs/budgets.md says how.",
    )  # fmt: skip


PAGE = Page("/invoices", "Invoices and close", 70, build, table=_BILLS)
