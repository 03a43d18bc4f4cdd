import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION
from models.schemas.focus_columns import COST_AND_USAGE, focus_type, snake_case

_REQUIRED = ("BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory",
             "ChargePeriodStart", "ChargePeriodEnd", "InvoiceIssuerName", "ServiceCategory", "ServiceName",
             "ServiceProviderName")  # fmt: skip
_COMMENTS = {
    "BilledCost": "What the ledger holds: usage is accrued, not invoiced; NULL when it has no price",
    "EffectiveCost": "Dollars with commitments amortised; NULL when it has no price",
    "ListCost": "Dollars at list prices; of a meter under a contract by its share of the cost; NULL when it has no price",
    "ContractedCost": "Dollars at negotiated prices; NULL when it has no price",
    "InvoiceId": "Always NULL: invoices are in core.invoice_lines",
    "BillingAccountId": "Who is paid: the ledger does not hold accounts of providers",
    "SubAccountId": "Tenant",
    "ResourceId": "Deployment of a pool",
}

TABLE = Table(
    schema="mart",
    name="focus",
    grain="One row per charge of a business day, FOCUS 1.4 Cost and Usage in snake case; corrections are in core.adjustments",
    columns=(
        ACCRUED_ON_PARTITION,
        *(
            Column(
                name=snake_case(name),
                dtype=focus_type(name),
                comment=_COMMENTS.get(name, f"FOCUS 1.4 {name}"),
                required=name in _REQUIRED,
            )
            for name in COST_AND_USAGE
        ),
        Column(name="x_model_id", dtype=pl.String, comment="Model"),
        Column(name="x_token_class", dtype=pl.String, comment="Token class, or meter of the price book"),
        Column(name="x_service_tier", dtype=pl.String, comment="Served tier"),
        Column(name="x_source", dtype=pl.String, comment="Configured source of the logs"),
        Column(name="x_team", dtype=pl.String, comment="Team"),
        Column(name="x_chip", dtype=pl.String, comment="Accelerator"),
        Column(name="x_pool_part", dtype=pl.String, comment="Part of a pool's bill: serving, idle, ..."),
        Column(
            name="x_unpriced_quantity",
            dtype=pl.Decimal(38, 12),
            comment="Units without a price, in ConsumedUnit: in no cost",
        ),
    ),
    key=("accrued_on", "service_name", "sku_id", "region_id", "sub_account_id", "resource_id", "x_source", "x_team",
         "commitment_discount_status", "x_model_id", "x_token_class", "x_service_tier", "x_chip", "x_pool_part"),
    partition="accrued_on",
)  # fmt: skip
