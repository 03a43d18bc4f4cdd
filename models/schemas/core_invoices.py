import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import (
    BILLED_ON,
    BILLING_ACCOUNT_ID,
    BILLING_PERIOD_END,
    BILLING_PERIOD_START,
    INVOICE_ID,
    INVOICE_ISSUER_NAME,
    SOURCE,
)
from models.schemas.invoice_columns import CHARGE_CATEGORIES

TABLE = Table(
    schema="core",
    name="invoices",
    grain="One row per issuer x invoice x billing period, the lines in force added up (FOCUS 1.4 Invoice Detail)",
    columns=(
        BILLED_ON,
        SOURCE,
        INVOICE_ISSUER_NAME,
        INVOICE_ID,
        BILLING_ACCOUNT_ID,
        Column(
            name="invoice_issue_status",
            dtype=pl.String,
            comment="Issued where the lines name their invoice, else Pending",
            required=True,
            one_of=("Issued", "Pending"),
        ),
        BILLING_PERIOD_START,
        BILLING_PERIOD_END,
        Column(name="billing_currency", dtype=pl.String, comment="Currency, ISO 4217", required=True),
        Column(name="line_count", dtype=pl.Int64, comment="Lines in force", required=True),
        Column(name="billed_cost", dtype=USD, comment="Sum of its lines: what is payable", required=True),
        *(
            Column(
                name=f"{category.lower()}_cost",
                dtype=USD,
                comment=f"Part of billed_cost: charges of the category {category}",
                required=True,
            )
            for category in CHARGE_CATEGORIES
        ),
        Column(
            name="usd", dtype=USD, comment="billed_cost in dollars; NULL where a line has no exchange rate"
        ),
        Column(
            name="delivery_count",
            dtype=pl.Int64,
            comment="Deliveries of the period so far; all but the latest are replaced",
            required=True,
        ),
        Column(name="delivered_at", dtype=INSTANT, comment="When the one in force was read", required=True),
    ),
    key=(
        "source",
        "invoice_issuer_name",
        "billing_account_id",
        "invoice_id",
        "billing_period_start",
        "billing_currency",
    ),
    partition="billed_on",
)
