"""The columns of a line of a bill: FOCUS 1.4 Cost and Usage in snake case, with our words for models and tokens."""

import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column
from models.schemas.columns import (
    BILLING_ACCOUNT_ID,
    BILLING_PERIOD_END,
    INVOICE_ID,
    INVOICE_ISSUER_NAME,
    SOURCE,
    SOURCE_KIND,
)

CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
QUANTITY = pl.Decimal(38, 12)
UNIT_PRICE = pl.Decimal(38, 18)

_COST_COMMENT = "in the currency of the bill"


def invoice_line_columns() -> tuple[Column, ...]:
    """Return the columns that every reader of bills fills."""
    return (
        SOURCE,
        SOURCE_KIND,
        INVOICE_ISSUER_NAME,
        INVOICE_ID,
        BILLING_ACCOUNT_ID,
        Column(
            name="sub_account_id", dtype=pl.String, comment="Account, subscription or project that used it"
        ),
        Column(
            name="billing_period_start",
            dtype=INSTANT,
            comment="Start of the period that the invoice bills, UTC",
            required=True,
        ),
        BILLING_PERIOD_END,
        Column(
            name="charge_period_start", dtype=INSTANT, comment="When the charge began, UTC", required=True
        ),
        Column(name="charge_period_end", dtype=INSTANT, comment="When it ended, exclusive; NULL: not stated"),
        Column(
            name="charge_category",
            dtype=pl.String,
            comment="Nature of the charge, in FOCUS's words",
            required=True,
            one_of=CHARGE_CATEGORIES,
        ),
        Column(
            name="charge_class",
            dtype=pl.String,
            comment="Correction: it corrects an invoice of an earlier period; NULL otherwise",
        ),
        Column(name="charge_description", dtype=pl.String, comment="The issuer's own words"),
        Column(name="service_name", dtype=pl.String, comment="What was sold, by the issuer's name"),
        Column(name="provider", dtype=pl.String, comment="Who ran it; NULL: the line does not tell"),
        Column(name="model", dtype=pl.String, comment="Model as the bill names it; NULL: it names none"),
        Column(name="region", dtype=pl.String, comment="Where it ran; NULL: not stated"),
        Column(name="service_tier", dtype=pl.String, comment="Tier that was billed; NULL: not stated"),
        Column(
            name="meter",
            dtype=pl.String,
            comment="What was counted, in the issuer's words: a SKU or usage type",
        ),
        Column(
            name="token_class",
            dtype=pl.String,
            comment="Class of token, or meter of the price book, that the line bills; NULL: it does not tell",
        ),
        Column(name="chip", dtype=pl.String, comment="Accelerator whose hours are billed; NULL: none"),
        Column(name="resource_id", dtype=pl.String, comment="Resource that was billed"),
        Column(name="pricing_quantity", dtype=QUANTITY, comment="Quantity in the unit that is priced"),
        Column(name="pricing_unit", dtype=pl.String, comment="That unit, as written"),
        Column(
            name="consumed_quantity",
            dtype=QUANTITY,
            comment="Quantity in single units: tokens, seconds, calls; NULL where the unit is not known",
        ),
        Column(
            name="consumed_unit", dtype=pl.String, comment="tokens, seconds, calls or another single unit"
        ),
        Column(
            name="billed_cost",
            dtype=USD,
            comment=f"What the invoice asks for, {_COST_COMMENT}",
            required=True,
        ),
        Column(
            name="effective_cost",
            dtype=USD,
            comment=f"With commitments amortised, {_COST_COMMENT}; NULL: not stated",
        ),
        Column(name="list_cost", dtype=USD, comment=f"At list prices, {_COST_COMMENT}; NULL: not stated"),
        Column(name="currency", dtype=pl.String, comment="Currency of the bill, ISO 4217", required=True),
        Column(name="commitment_discount_id", dtype=pl.String, comment="Commitment that covers or is bought"),
        Column(
            name="commitment_discount_status",
            dtype=pl.String,
            comment="Used or Unused; NULL: no commitment",
        ),
        Column(name="tags", dtype=pl.Map(pl.String, pl.String), comment="Tags of the line"),
    )
