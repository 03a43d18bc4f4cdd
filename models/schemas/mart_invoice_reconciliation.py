import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    BILLED_ON,
    BILLING_ACCOUNT_ID,
    BILLING_PERIOD_END,
    BILLING_PERIOD_START,
    INVOICE_ID,
    INVOICE_ISSUER_NAME,
)
from models.schemas.invoice_columns import QUANTITY, UNIT_PRICE

RECONCILIATION_TERMS = {
    "coverage": "usage that no log tells of, or that the ledger has no price for",
    "timing": "usage billed in another period than it happened in",
    "quantity": "usage counted otherwise",
    "rate": "another price for the same usage",
    "fee": "fees and taxes, which the ledger has none of",
    "credit": "credits, refunds and corrections",
    "fx": "another exchange rate than the ledger's",
    "unexplained": "the rest: rounding, or lines without a quantity or a unit price",
}
"""What the difference between a bill and the ledger is made of, in the order of the table."""

POOL_PARTS_BESIDE = {
    "minimum": "time that was billed beyond what ran: minimum and granularity",
    "unheld": "machines that no replica held",
    "unused_commitment": "commitments that nothing used",
}
"""Parts of a pool's bill that no replica's hours show."""

TABLE = Table(
    schema="mart",
    name="invoice_reconciliation",
    grain="One row per issuer x invoice x billing period x provider x model x region x tier x meter: the bill against the ledger",
    columns=(
        BILLED_ON,
        Column(name="source", dtype=pl.String, comment="Configured source of the bill", required=True),
        INVOICE_ISSUER_NAME,
        BILLING_ACCOUNT_ID,
        INVOICE_ID,
        BILLING_PERIOD_START,
        BILLING_PERIOD_END,
        Column(name="charge_category", dtype=pl.String, comment="Usage, or what else is billed", required=True),
        Column(name="provider", dtype=pl.String, comment="Who ran it; NULL: the bill does not tell"),
        Column(name="model", dtype=pl.String, comment="Model; NULL: the bill does not tell"),
        Column(name="region", dtype=pl.String, comment="Region; NULL: the bill does not tell"),
        Column(name="service_tier", dtype=pl.String, comment="Tier; NULL: the bill does not tell"),
        Column(
            name="meter",
            dtype=pl.String,
            comment="Token class or meter of the price book; of GPU bills chip and commitment; NULL: the bill does not tell",
        ),
        Column(name="unit", dtype=pl.String, comment="Single unit of both quantities"),
        Column(name="invoiced_quantity", dtype=QUANTITY, comment="Quantity that was billed; NULL: not stated"),
        Column(name="ledger_quantity", dtype=QUANTITY, comment="Priced quantity in the ledger"),
        Column(name="unpriced_quantity", dtype=QUANTITY, comment="Quantity in the ledger without a price"),
        Column(name="invoiced_unit_price_usd", dtype=UNIT_PRICE, comment="Dollars of a single unit on the bill"),
        Column(name="ledger_unit_price_usd", dtype=UNIT_PRICE, comment="Dollars of a single unit in the ledger"),
        Column(
            name="invoiced_usd", dtype=USD, comment="What the bill asks for; NULL without an exchange rate"
        ),
        Column(name="ledger_usd", dtype=USD, comment="What the ledger holds for it", required=True),
        *(
            Column(name=f"ledger_{part}_usd", dtype=USD, comment=f"Part of ledger_usd: {meaning}; NULL for tokens")
            for part, meaning in POOL_PARTS_BESIDE.items()
        ),
        Column(
            name="difference_usd",
            dtype=USD,
            comment="invoiced_usd less ledger_usd: the sum of the terms that follow, exactly",
        ),
        *(
            Column(name=f"{name}_usd", dtype=USD, comment=f"Part of difference_usd: {meaning}")
            for name, meaning in RECONCILIATION_TERMS.items()
        ),
        Column(
            name="cause",
            dtype=pl.String,
            comment="What the difference looks like: unit (a price a thousand or a million times the other), double_line "
            "(twice the ledger), else the largest term; NULL: none",
        ),
        Column(
            name="line_count",
            dtype=pl.Int64,
            comment="Lines of the bill behind the row; 0: the bill has none for what the ledger holds",
            required=True,
        ),
    ),
    key=(
        "source", "invoice_issuer_name", "billing_account_id", "invoice_id", "billing_period_start", "charge_category",
        "provider", "model", "region", "service_tier", "meter", "unit",
    ),
    partition="billed_on",
)  # fmt: skip
