"""AWS Cost and Usage Reports: CUR 2.0 (Data Exports) and the legacy report, CSV or Parquet.

Bedrock's own models are billed by the thousand tokens (`1K tokens`); models of the marketplace in `Units` of a million,
told by `MP:` in the usage type. The discounted hours of reservations and savings plans are usage at their effective
cost; what cancels out (SavingsPlanNegation) stays, so that lines sum to the invoice. Sources:
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html, checked 2026-11-28.
"""

import polars as pl

from models.billing.lines import completed, decimal, line_columns, line_select
from models.records import Importer

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
    "plan_total": ("savings_plan_total_commitment_to_date", "savingsPlan/TotalCommitmentToDate"),
    "plan_used": ("savings_plan_used_commitment", "savingsPlan/UsedCommitment"),
    "unused_upfront": (
        "reservation_unused_amortized_upfront_fee_for_billing_period",
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod",
    ),
    "unused_recurring": ("reservation_unused_recurring_fee", "reservation/UnusedRecurringFee"),
    "plan": ("savings_plan_savings_plan_a_r_n", "savingsPlan/SavingsPlanARN"),
    "reservation": ("reservation_reservation_a_r_n", "reservation/ReservationARN"),
}
_INSTANTS = {
    "billing_period_start": ("bill_billing_period_start_date", "bill/BillingPeriodStartDate"),
    "billing_period_end": ("bill_billing_period_end_date", "bill/BillingPeriodEndDate"),
    "charge_period_start": ("line_item_usage_start_date", "lineItem/UsageStartDate"),
    "charge_period_end": ("line_item_usage_end_date", "lineItem/UsageEndDate"),
}
_SELECT = line_select(_FIELDS, _INSTANTS)
_CATEGORIES = {
    "Usage": "Usage",
    "DiscountedUsage": "Usage",
    "SavingsPlanCoveredUsage": "Usage",
    "Tax": "Tax",
    "Credit": "Credit",
    "Refund": "Credit",
    "Fee": "Purchase",
    "RIFee": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
    "SavingsPlanNegation": "Adjustment",
}
_MILLIONS = "1M tokens"
_CONSUMPTION = r"(?i)claude.*consumption.?units?|\bCCUs?\b"
_MACHINE = (
    r"(?:BoxUsage|SpotUsage|DedicatedUsage|UnusedBox|UnusedDed|Host|AsyncInf|Cluster)"
    r":(?:ml\.)?([a-z][\w-]*\.[\w-]+)"
)
_MODEL = r"^(?:[A-Z]{2,4}\d?-)?(.+?)-(?:mantle-)?(?:text-)?(?:input|output|cache|custom|search|ProvisionedThroughput)"


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    usage, service, line = pl.col("meter"), pl.col("service_name"), pl.col("line_type")
    words = pl.concat_str(usage, "charge_description", separator=" ", ignore_nulls=True)
    is_consumption = words.str.contains(_CONSUMPTION).fill_null(value=False)
    is_bedrock = service.str.contains("Bedrock").fill_null(value=False) | usage.str.contains(
        r"(?i)token"
    ).fill_null(value=False)
    is_marketplace = usage.str.contains("MP:", literal=True).fill_null(value=False)
    is_units = (pl.col("unit").str.to_lowercase() == "units").fill_null(value=False)
    machine = usage.str.extract(_MACHINE, 1)
    # Provisioned throughput is sold as hours of model units.
    is_throughput = is_bedrock & usage.str.contains(r"(?i)provisionedthroughput|modelunits").fill_null(
        value=False
    )
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.coalesce("invoice_issuer_name", pl.lit("Amazon Web Services, Inc.")),
            # A type that is not known is kept beside the usage: it is no quantity of anything.
            charge_category=pl.when(line.str.ends_with("Discount"))
            .then(pl.lit("Credit"))
            .otherwise(line.replace_strict(_CATEGORIES, default="Adjustment")),
            charge_class=pl.when(line == "Refund").then(pl.lit("Correction")),
            provider=pl.when(is_consumption)
            .then(pl.lit("anthropic"))
            .when(is_bedrock)
            .then(pl.lit("aws.bedrock"))
            .when(service == "AmazonSageMaker")
            .then(pl.lit("aws.sagemaker"))
            .when(service == "AmazonEC2")
            .then(pl.lit("aws")),
            model=pl.when(is_bedrock & ~is_marketplace)
            .then(usage.str.extract(_MODEL, 1))
            .when(is_bedrock)
            .then(words.str.extract(r"(?i)((?:claude|llama|mistral|command|jamba)[\w. ]*?) \(Amazon Bedrock", 1)),
            chip=pl.when(is_throughput).then(pl.lit("model_unit")).otherwise(machine),
            service_tier=pl.when(is_throughput).then(
                pl.when(usage.str.contains("Commit")).then(pl.lit("committed")).otherwise(pl.lit("on_demand"))
            )
            .when(machine.is_not_null()).then(
                pl.when(usage.str.contains("Spot")).then(pl.lit("spot"))
                .when(line.is_in(["DiscountedUsage", "SavingsPlanCoveredUsage"])).then(pl.lit("reserved"))
                .otherwise(pl.lit("on_demand"))
            ),
            pricing_unit=pl.when(is_consumption).then(pl.lit("consumption units"))
            .when(is_marketplace & is_units & usage.str.contains("(?i)token"))
            .then(pl.lit(_MILLIONS))
            .otherwise("unit"),
            effective_cost=_effective(),
            commitment_discount_id=pl.coalesce("plan", "reservation"),
            commitment_discount_status=pl.when(line.is_in(["DiscountedUsage", "SavingsPlanCoveredUsage"])).then(
                pl.lit("Used")
            ),
        ),
        key=(),
    )  # fmt: skip


def _effective() -> pl.Expr:
    """Return the cost with commitments spread: https://docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html."""
    line, zero = pl.col("line_type"), pl.lit(0, dtype=pl.Decimal(38, 12))
    amount = {
        name: decimal(pl.col(name))
        for name in ("plan_total", "plan_used", "unused_upfront", "unused_recurring")
    }
    unused = amount["plan_total"] - amount["plan_used"]
    idle = amount["unused_upfront"].fill_null(zero) + amount["unused_recurring"].fill_null(zero)
    is_stated = pl.any_horizontal(
        amount[name].is_not_null() for name in ("unused_upfront", "unused_recurring")
    )
    return (
        pl.when(line == "SavingsPlanCoveredUsage").then("plan_cost")
        .when(line == "DiscountedUsage").then("reserved_cost")
        .when(line == "SavingsPlanRecurringFee").then(unused.cast(pl.String))
        .when(line == "RIFee").then(pl.when(is_stated).then(idle).cast(pl.String))
        .when(line.is_in(["SavingsPlanNegation", "SavingsPlanUpfrontFee"])).then(pl.lit("0"))
        .otherwise("billed_cost")
    )  # fmt: skip


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=line_columns(_FIELDS, _INSTANTS),
    select=_SELECT,
    canonical=_canonical,
    formats=("csv", "parquet"),
    signature=(
        frozenset({"line_item_usage_type", "line_item_unblended_cost"}),
        frozenset({"lineItem/UsageType", "lineItem/UnblendedCost"}),
    ),
    rank=13,
)
