"""Rows of bills and of the ledger beside them, for tests of the reconciliation."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from models.finance.reconciliation import invoice_reconciliation
from models.schemas import table
from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def line(number=0, *, usd="0", quantity=None, **facts):
    """A line of October's bill of Example Inc. for gpt-x at example, in dollars."""
    dollars = None if usd is None else Decimal(usd)
    return {
        "billed_on": OCTOBER.date(), "source": "bill", "source_kind": "invoice_lines",
        "invoice_issuer_name": "Example Inc.", "invoice_id": "INV-1", "billing_account_id": "acme",
        "billing_period_start": OCTOBER, "billing_period_end": NOVEMBER, "charge_period_start": OCTOBER,
        "charge_category": "Usage", "provider": "example", "canonical_model": "gpt-x", "token_class": "input_uncached",
        "consumed_quantity": None if quantity is None else Decimal(quantity), "consumed_unit": "tokens",
        "billed_cost": dollars, "currency": "USD", "usd": dollars, "file_hash": "f",
        "line_number": number + 1, "record_number": 1,
    } | facts  # fmt: skip


def held(*, usd="0", quantity="0", unpriced="0", **facts):
    """What the ledger holds of October's gpt-x at example."""
    return {
        "source": "bill", "invoice_issuer_name": "Example Inc.", "billing_account_id": "acme",
        "billing_period_start": OCTOBER, "provider": "example", "model": "gpt-x", "region": None,
        "service_tier": "default", "meter": "input_uncached", "quantity": Decimal(quantity),
        "unpriced_quantity": Decimal(unpriced), "usd": Decimal(usd), "fx_usd_per_unit": None,
        "price_currency": None,
    } | facts  # fmt: skip


_LEDGER = {
    "source": pl.String, "invoice_issuer_name": pl.String, "billing_account_id": pl.String,
    "billing_period_start": pl.Datetime("us", "UTC"), "provider": pl.String, "model": pl.String, "region": pl.String,
    "service_tier": pl.String, "meter": pl.String, "quantity": pl.Decimal(38, 6),
    "unpriced_quantity": pl.Decimal(38, 6), "usd": pl.Decimal(38, 12), "fx_usd_per_unit": pl.Decimal(38, 12),
    "price_currency": pl.String,
    "minimum_usd": pl.Decimal(38, 12), "unheld_usd": pl.Decimal(38, 12), "unused_commitment_usd": pl.Decimal(38, 12),
}  # fmt: skip


def reconcile(lines, ledger, *, rates=None, gaps=None, elsewhere=None):
    """Return the rows of the mart, and hold the identity of each."""
    found = invoice_reconciliation(
        table("core.invoice_lines").frame(lines),
        pl.DataFrame(ledger, schema=_LEDGER),
        rates=rates,
        gaps=None if gaps is None else pl.DataFrame(gaps, schema={**_LEDGER}),
        elsewhere=None if elsewhere is None else table("core.invoice_lines").frame(elsewhere),
    )
    for row in found.iter_rows(named=True):
        terms = [row[f"{name}_usd"] for name in RECONCILIATION_TERMS]
        if row["invoiced_usd"] is None:
            assert terms == [None] * len(terms)
        else:
            assert sum(terms) == row["difference_usd"] == row["invoiced_usd"] - row["ledger_usd"]
    return found


def terms(row):
    """Return the terms that are not 0."""
    return {name: row[f"{name}_usd"] for name in RECONCILIATION_TERMS if row[f"{name}_usd"]}


def day(number):
    return OCTOBER + timedelta(days=number - 1)
