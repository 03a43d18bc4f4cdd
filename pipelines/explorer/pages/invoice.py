"""An invoice opened: its lines, and for a line both sides of the cell in which it meets the ledger."""

from typing import Any

from models.errors import DataError
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.quoting import sql_text
from pipelines.reports.opened_invoice import NAME, opened_invoice
from pipelines.reports.view import ViewColumn
from pipelines.steps.mart_invoice_reconciliation import ledger_sql

_NONE_ASKED = (
    "Write the id of an invoice, or issuer and month of one that has none yet, such as OpenAI 2026-10."
)
_LINE = "row_number() OVER (ORDER BY source, billing_period_start, file_hash, line_number, record_number)"


def build(asked: PageContext) -> Content:
    """Open an invoice, or one of its lines."""
    wanted, line = asked.state.parameter("id").strip(), asked.state.parameter("line").strip()
    more: dict[str, Any] = {"wanted": wanted, "line": None, "opened": {"invoices": []}}
    if not wanted:
        return Content(_NONE_ASKED, (), "invoice.html", more)
    if line and not line.isdecimal():
        raise DataError(f"{line!r} is no line of an invoice; lines are numbered from 1.")
    with asked.opened.session() as con:
        opened = opened_invoice(
            con, wanted, int(line) if line else None, ledger=ledger_sql(asked.project, is_daily=True)
        )
    lead = (
        "What each line bills, and how the bill differs from the ledger; a line leads to both of its sides."
    )
    return Content(
        lead, (_lines(asked, wanted), _cells(asked, wanted)), "invoice.html",
        more | {"line": int(line) if line else None, "opened": opened},
    )  # fmt: skip


def _lines(asked: PageContext, wanted: str) -> Figure:
    return ask(
        asked.opened, "lines", "Its lines",
        f"SELECT {_LINE} AS line, charge_period_start, charge_category, charge_description, model, meter, service_tier,\n"
        "  consumed_quantity, consumed_unit, billed_cost, currency, usd\nFROM core.invoice_lines\n"
        f"WHERE invoice_id = {sql_text(wanted)} OR {NAME} = {sql_text(wanted)}\nORDER BY line",
        [
            ViewColumn("line", "Line", "count"), ViewColumn("charge_period_start", "From, UTC"), ViewColumn("charge_category", "Kind"),
            ViewColumn("charge_description", "In the issuer's words"), ViewColumn("model", "Model"), ViewColumn("meter", "Meter"),
            ViewColumn("service_tier", "Tier"), ViewColumn("consumed_quantity", "Quantity"), ViewColumn("consumed_unit", "Unit"),
            ViewColumn("billed_cost", "Billed"), ViewColumn("currency", "Currency"), ViewColumn("usd", "USD", "usd", is_summed=True),
        ],
        coverage="Every line in force; of a month that was delivered again the latest.",
        links={"line": lambda row: asked.state.url(line=row["line"])},
    )  # fmt: skip


def _cells(asked: PageContext, wanted: str) -> Figure:
    return ask(
        asked.opened, "cells", "Against the ledger",
        "SELECT charge_category, provider, model, region, service_tier, meter, invoiced_quantity, ledger_quantity,\n"
        "  invoiced_usd, ledger_usd, difference_usd, cause, line_count\nFROM mart.invoice_reconciliation\n"
        f"WHERE invoice_id = {sql_text(wanted)} OR {NAME} = {sql_text(wanted)}\n"
        "ORDER BY abs(difference_usd) DESC NULLS LAST, provider, model, region, service_tier, meter",
        [
            ViewColumn("charge_category", "Kind"), ViewColumn("provider", "Provider"), ViewColumn("model", "Model"),
            ViewColumn("region", "Region"), ViewColumn("service_tier", "Tier"), ViewColumn("meter", "Meter"),
            ViewColumn("invoiced_quantity", "Billed quantity"), ViewColumn("ledger_quantity", "Ledger's quantity"),
            ViewColumn("invoiced_usd", "Billed", "usd", is_summed=True), ViewColumn("ledger_usd", "Ledger", "usd", is_summed=True),
            ViewColumn("difference_usd", "Difference", "usd", is_summed=True), ViewColumn("cause", "Looks like"),
            ViewColumn("line_count", "Lines", "count", is_summed=True),
        ],
        coverage="One row for each model, region, tier and meter that the bill or the ledger tells apart.",
        none="The bill meets no part of the ledger.",
    )  # fmt: skip


PAGE = Page("/invoice", "An invoice", 71, build, has_verdict=False)
