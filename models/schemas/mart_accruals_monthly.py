import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS

TRUE_UP_CAUSES = {
    **RECONCILIATION_TERMS,
    "scope": "what the ledger has of the month and the bill's period or scope has not",
    "correction": "corrections of the closed month, which the ledger has booked already",
}
"""What a true-up is made of, in the order of the table."""

TABLE = Table(
    schema="mart",
    name="accruals_monthly",
    grain="One row per issuer x month x month in which it is booked: what was accrued, what the bill asks for, and why they differ",
    columns=(
        Column(name="month_on", dtype=pl.Date, comment="First business day of the month of the usage; the partition", required=True),
        Column(
            name="booked_on",
            dtype=pl.Date,
            comment="First day of the month that books it: the month itself while it is open, else that in which the bill or correction came",
            required=True,
        ),
        Column(name="invoice_issuer_name", dtype=pl.String, comment="Who bills it; the provider where no bill has told; NULL: neither is known"),
        Column(name="provider", dtype=pl.String, comment="The only provider that it bills; NULL: several"),
        Column(name="accrued_usd", dtype=USD, comment="Spend of the month in the ledger, as accrued on day 1", required=True),
        Column(name="corrected_usd", dtype=USD, comment="Corrections of the month that are booked with it", required=True),
        Column(
            name="invoiced_usd",
            dtype=USD,
            comment="What the bill asks for, less what earlier rows of the month have of it; NULL: no bill of the whole month yet, or no exchange rate",
        ),
        Column(name="true_up_usd", dtype=USD, comment="invoiced less accrued and corrected: the sum of its causes, exactly; 0 without a bill", required=True),
        *(
            Column(name=f"{name}_usd", dtype=USD, comment=f"Part of true_up_usd: {meaning}", required=True)
            for name, meaning in TRUE_UP_CAUSES.items()
        ),
        Column(name="bill_count", dtype=pl.Int64, comment="Bills of the month; 0: it is an accrual still", required=True),
        Column(name="unknown_count", dtype=pl.Int64, comment="Rows of bills without an exchange rate: no true-up until there is one", required=True),
    ),
    key=("month_on", "booked_on", "invoice_issuer_name"),
    partition="month_on",
)  # fmt: skip
