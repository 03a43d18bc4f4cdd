"""AWS Cost and Usage Reports: CUR 2.0 (Data Exports) and the legacy report, CSV or Parquet.

Bedrock's own models are billed by the thousand tokens (`1K tokens`); models of the marketplace in `Units` of a million,
told by `MP:` in the usage type. The discounted hours of reservations and savings plans are usage at their effective
cost; what cancels out (SavingsPlanNegation) stays, so that lines sum to the invoice. Sources:
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html, checked 2026-11-28.
"""

import polars as pl

from models.billing.lines import completed
from models.records import Importer, instant, text

KIND = "aws_cur"

_FIELDS = {
    "invoice_id": ("bill_invoice_id", "bill/InvoiceId"),
    "invoice_issuer_name": ("bill_invoicing_entity", "bill/InvoicingEntity"),
    "billing_entity": ("bill_billing_entity", "bill/BillingEntity"),
    "billing_account_id": ("bill_payer_account_id", "bill/PayerAccountId"),
    "sub_account_id": ("line_item_usage_account_id", "lineItem/UsageAccountId"),
    "line_type": ("line_item_line_item_type", "lineItem/LineItemType"),
    "service_name": ("line_item_product_code", "lineItem/ProductCode"),
    "meter": ("line_item_usage_type", "lineItem/UsageType"),
    "charge_description": ("line_item_line_item_description", "lineItem/LineItemDescription"),
    "resource_id": ("line_item_resource_id", "lineItem/ResourceId"),
    "region": ("product_region_code", "product/regionCode", "product/region"),
    "pricing_quantity": ("line_item_usage_amount", "lineItem/UsageAmount"),
    "unit": ("pricing_unit", "pricing/unit"),
    "billed_cost": ("line_item_unblended_cost", "lineItem/UnblendedCost"),
    "list_cost": ("pricing_public_on_demand_cost", "pricing/publicOnDemandCost"),
    "plan_cost": ("savings_plan_savings_plan_effective_cost", "savingsPlan/SavingsPlanEffectiveCost"),
    "reserved_cost": ("reservation_effective_cost", "reservation/EffectiveCost"),
    "currency": ("line_item_currency_code", "lineItem/CurrencyCode"),
    "plan": ("savings_plan_savings_plan_a_r_n", "savingsPlan/SavingsPlanARN"),
    "reservation": ("reservation_reservation_a_r_n", "reservation/ReservationARN"),
}
_INSTANTS = {
    "billing_period_start": ("bill_billing_period_start_date", "bill/BillingPeriodStartDate"),
    "billing_period_end": ("bill_billing_period_end_date", "bill/BillingPeriodEndDate"),
    "charge_period_start": ("line_item_usage_start_date", "lineItem/UsageStartDate"),
    "charge_period_end": ("line_item_usage_end_date", "lineItem/UsageEndDate"),
}
_COLUMNS = [name for names in (*_FIELDS.values(), *_INSTANTS.values()) for name in names]


def _field(names: tuple[str, ...]) -> str:
    return f"coalesce({', '.join(text(chr(34) + name + chr(34)) for name in names)}, NULL)"


_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{_field(names)} AS {name}" for name, names in _FIELDS.items())},
       {", ".join(f"{instant(_field(names))} AS {name}" for name, names in _INSTANTS.items())}
FROM records
"""
_CATEGORIES = {
    "Tax": "Tax",
    "Credit": "Credit",
    "Refund": "Credit",
    "Fee": "Purchase",
    "RIFee": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
    "SavingsPlanNegation": "Adjustment",
    "EdpDiscount": "Credit",
    "PrivateRateDiscount": "Credit",
    "BundledDiscount": "Credit",
    "Discount": "Credit",
}
_TIERS = {"global": r"(?i)global", "geo": r"(?i)_Geo\b|cross-region-geo"}
_MILLIONS = "1M tokens"


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    usage, service = pl.col("meter"), pl.col("service_name")
    is_bedrock = service.str.contains("Bedrock").fill_null(value=False) | usage.str.contains(
        r"(?i)token"
    ).fill_null(value=False)
    is_marketplace = usage.str.contains("MP:", literal=True).fill_null(value=False)
    is_units = (pl.col("unit").str.to_lowercase() == "units").fill_null(value=False)
    model = usage.str.extract(
        r"^(?:[A-Z]{2,4}\d?-)?(.+?)-(?:mantle-)?(?:text-)?(?:input|output|cache|custom)", 1
    )
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.coalesce("invoice_issuer_name", pl.lit("Amazon Web Services, Inc.")),
            charge_category=pl.col("line_type").replace_strict(_CATEGORIES, default="Usage"),
            charge_class=pl.when(pl.col("line_type") == "Refund").then(pl.lit("Correction")),
            provider=pl.when(is_bedrock)
            .then(pl.lit("aws.bedrock"))
            .when(service == "AmazonSageMaker")
            .then(pl.lit("aws.sagemaker"))
            .when(service == "AmazonEC2")
            .then(pl.lit("aws")),
            model=pl.when(is_bedrock & ~is_marketplace).then(model),
            pricing_unit=pl.when(is_marketplace & is_units & usage.str.contains("(?i)token"))
            .then(pl.lit(_MILLIONS))
            .otherwise("unit"),
            effective_cost=pl.coalesce("plan_cost", "reserved_cost"),
            commitment_discount_id=pl.coalesce("plan", "reservation"),
        ),
        key=(),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=dict.fromkeys(_COLUMNS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("csv", "parquet"),
    signature=(
        frozenset({"line_item_usage_type", "line_item_unblended_cost"}),
        frozenset({"lineItem/UsageType", "lineItem/UnblendedCost"}),
    ),
    rank=13,
)
