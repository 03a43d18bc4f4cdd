import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import (
    BILLED_ON,
    BILLING_ACCOUNT_ID,
    BILLING_PERIOD_START,
    INVOICE_ISSUER_NAME,
    SOURCE,
)

TABLE = Table(
    schema="ops",
    name="bill_deliveries",
    grain="One row per delivery of a bill: of a restated period, which version is in force",
    columns=(
        BILLED_ON,
        SOURCE,
        INVOICE_ISSUER_NAME,
        BILLING_ACCOUNT_ID,
        BILLING_PERIOD_START,
        Column(name="delivery", dtype=pl.Int64, comment="1 for the first delivery, and so on", required=True),
        Column(name="delivered_at", dtype=INSTANT, comment="When it was read", required=True),
        Column(name="file_count", dtype=pl.Int64, comment="Files that it came in", required=True),
        Column(name="line_count", dtype=pl.Int64, comment="Its lines", required=True),
        Column(
            name="line_count_in_force",
            dtype=pl.Int64,
            comment="Those that no later delivery replaces, and that are no second view of other lines",
            required=True,
        ),
        Column(
            name="line_count_of_views",
            dtype=pl.Int64,
            comment="Those that count nowhere, because other lines bill the same dollars",
        ),
        Column(
            name="counted_by",
            dtype=pl.String,
            comment="Sources and kinds of those other lines, which count; NULL: none",
        ),
        Column(name="billed_cost", dtype=USD, comment="Sum of its lines, in the currency of the bill"),
        Column(
            name="is_in_force",
            dtype=pl.Boolean,
            comment="Whether any of its lines counts; days of the cost APIs replace themselves one by one",
            required=True,
        ),
    ),
    key=("source", "invoice_issuer_name", "billing_account_id", "billing_period_start", "delivery"),
    partition="billed_on",
)
