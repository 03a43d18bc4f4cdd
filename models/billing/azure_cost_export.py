"""Azure Cost Management exports and cost details, EA and MCA, actual or amortised: CSV or Parquet.

Column names differ in their letters' case by agreement and are found in any. Quantities are in blocks of
`UnitOfMeasure`: 1,200 of `1K` are 1.2 million tokens. A day is the finest grain; dates are month first, as the exports
write them. An amortised export asks for nothing on the lines of a commitment's usage: their cost is effective, and
what is payable stands in the actual export, which counts where both lie in the folders. Sources:
https://learn.microsoft.com/azure/cost-management-billing/automate/understand-usage-details-fields and
https://learn.microsoft.com/azure/cost-management-billing/dataset-schema/cost-usage-details-ea, checked 2026-11-28.
"""

import polars as pl

from models.billing.lines import completed, decimal, line_columns, line_select
from models.records import Importer, instant

KIND = "azure_cost_export"

_FIELDS = {
    "invoice_id": ("invoiceId",),
    "previous_invoice_id": ("previousInvoiceId",),
    "billing_account_id": ("BillingProfileId", "BillingAccountId"),
    "sub_account_id": ("SubscriptionId", "SubscriptionGuid"),
    "charge_type": ("ChargeType",),
    "pricing_model": ("PricingModel",),
    "category": ("MeterCategory",),
    "subcategory": ("MeterSubCategory",),
    "meter": ("MeterName",),
    "product": ("ProductName", "Product"),
    "charge_description": ("ChargeDescription", "ProductOrderName"),
    "consumed_service": ("ConsumedService",),
    "resource_id": ("ResourceId", "InstanceId"),
    "region": ("ResourceLocation", "MeterRegion"),
    "unit": ("UnitOfMeasure",),
    "quantity": ("Quantity",),
    "cost": ("CostInBillingCurrency", "Cost"),
    "list_cost": ("paygCostInBillingCurrency",),
    "currency": ("BillingCurrency", "BillingCurrencyCode", "Currency"),
    "commitment": ("benefitId", "ReservationId"),
    "info": ("AdditionalInfo",),
    "publisher_type": ("PublisherType",),
}
_INSTANTS = {
    "billing_period_start": ("BillingPeriodStartDate",),
    "last_day": ("BillingPeriodEndDate",),
    "charge_period_start": ("Date", "UsageDateTime", "ServicePeriodStartDate"),
}
_CATEGORIES = {
    "usage": "Usage",
    "unusedreservation": "Usage",
    "unusedsavingsplan": "Usage",
    "purchase": "Purchase",
    "tax": "Tax",
    "refund": "Credit",
    "credit": "Credit",
    "adjustment": "Adjustment",
    "roundingadjustment": "Adjustment",
}
_WORDS_OF_THE_CHARGE = (
    r"(?i)[-_ ]*\b(?:cached|ccchd|cchd|cd|batch|input|inpt?|outpt?|output|opt|pp|ft|std|audio|txt|text|image|img|"
    r"regnl|glbl|gl|dz|dzone|1m|1k|tokens?|shortco|longco)\b.*$"
)


def _moment(stated: str) -> str:
    us = f"TRY_STRPTIME({stated}, '%m/%d/%Y')::TIMESTAMPTZ"
    return f"CASE WHEN {stated} LIKE '%/%' THEN {us} ELSE {instant(stated)} END"


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    day = pl.col("charge_period_start")
    kind = pl.col("charge_type").str.to_lowercase().str.replace_all(" ", "", literal=True)
    is_committed = (
        pl.col("pricing_model")
        .str.to_lowercase()
        .is_in(["reservation", "savingsplan"])
        .fill_null(value=False)
    )
    is_unused = kind.is_in(["unusedreservation", "unusedsavingsplan"]).fill_null(value=False)
    is_covered = is_unused | ((kind == "usage").fill_null(value=False) & is_committed)
    has_cost = (decimal(pl.col("cost")) != 0).fill_null(value=False)
    is_purchase = (kind == "purchase").fill_null(value=False) & pl.col("commitment").is_not_null()
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.lit("Microsoft"),
            charge_category=kind.replace_strict(_CATEGORIES, default="Adjustment"),
            charge_class=pl.when(kind == "refund").then(pl.lit("Correction")),
            service_name=pl.coalesce("subcategory", "category", "product"),
            charge_description=pl.coalesce("charge_description", "product"),
            provider=_provider(),
            model=_model(),
            chip=pl.when(_is_unit()).then(pl.lit("PTU")).otherwise(
                pl.col("info").str.extract(r'"ServiceType"\s*:\s*"((?:Standard_)?N[^"]*)"', 1)
            ),
            service_tier=_commitment(),
            region=pl.col("region").str.to_lowercase().str.replace_all(" ", "", literal=True),
            pricing_quantity=pl.col("quantity"),
            pricing_unit=pl.col("unit"),
            # What an amortised export spreads over covered usage is on no invoice.
            billed_cost=pl.when(is_covered & has_cost).then(pl.lit("0")).otherwise("cost"),
            # An actual export says nothing of what covered usage cost; what is bought for later costs nothing yet.
            effective_cost=pl.when(is_covered & ~has_cost & ~is_unused).then(None)
            .when(is_purchase).then(pl.lit("0")).otherwise("cost"),
            commitment_discount_id="commitment",
            commitment_discount_status=pl.when(is_unused).then(pl.lit("Unused"))
            .when(is_covered).then(pl.lit("Used")),
            charge_period_end=day.dt.offset_by("1d"),
            billing_period_end=pl.col("last_day").dt.offset_by("1d"),
        ),
        key=(),
    )  # fmt: skip


def _provider() -> pl.Expr:
    """Return who ran it: Azure OpenAI, another model of Foundry, or a machine."""
    sold = pl.concat_str("category", "subcategory", "product", separator=" ", ignore_nulls=True)
    service = pl.col("consumed_service").str.to_lowercase()
    is_model = (service == "microsoft.cognitiveservices").fill_null(value=False) | sold.str.contains(
        r"(?i)openai|foundry models"
    ).fill_null(value=False)
    is_openai = sold.str.contains(r"(?i)openai").fill_null(value=False)
    is_machine = pl.col("category").str.contains(r"(?i)virtual machines").fill_null(value=False)
    return (
        pl.when(is_machine).then(pl.lit("azure"))
        .when(is_model & is_openai).then(pl.lit("azure.ai.openai"))
        .when(is_model).then(pl.lit("azure.ai.inference"))
    )  # fmt: skip


def _model() -> pl.Expr:
    """Return what a meter names before the words of its charge; `5.4 mini` of GPT5 is `gpt-5.4 mini`."""
    family = pl.coalesce("subcategory", "product")
    named = pl.col("meter").str.replace(_WORDS_OF_THE_CHARGE, "").str.strip_chars()
    is_charged = pl.col("meter").str.contains(_WORDS_OF_THE_CHARGE)
    is_short = named.str.contains(r"^\d") & family.str.contains(r"(?i)gpt")
    is_unit = named.str.contains(r"(?i)provisioned|unit|search|calls")
    return pl.when(is_charged & ~is_unit & (named != "")).then(
        pl.when(is_short.fill_null(value=False)).then(pl.concat_str(pl.lit("gpt-"), named)).otherwise(named)
    )


def _is_unit() -> pl.Expr:
    """Return which meters are provisioned throughput (PTU): units by the hour, whatever model they serve."""
    return pl.col("meter").str.contains(r"(?i)provisioned managed").fill_null(value=False)


def _commitment() -> pl.Expr:
    """Return under which commitment a machine or a unit of throughput ran; NULL for what is neither."""
    is_machine = _is_unit() | pl.col("category").str.contains(r"(?i)virtual machines").fill_null(value=False)
    model = pl.col("pricing_model").str.to_lowercase()
    return pl.when(is_machine).then(
        pl.when(model == "spot").then(pl.lit("spot"))
        .when(model.is_in(["reservation", "savingsplan"])).then(pl.lit("reserved"))
        .otherwise(pl.lit("on_demand"))
    )  # fmt: skip


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=line_columns(_FIELDS, _INSTANTS),
    select=line_select(_FIELDS, _INSTANTS, moment=_moment),
    canonical=_canonical,
    formats=("csv", "parquet"),
    signature=(
        frozenset({"MeterCategory", "ChargeType", "UnitOfMeasure"}),
        frozenset({"meterCategory", "chargeType", "unitOfMeasure"}),
    ),
    rank=13,
    ignores_case=True,
)
