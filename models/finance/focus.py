"""The ledger as FOCUS datasets: Cost and Usage of 1.2 and 1.4, Invoice Detail, Billing Period, Contract Commitment.

What a column holds is in docs/focus.md. https://focus.finops.org, versions 1.2 and 1.4.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import polars as pl

from models.money import USD
from models.schemas.focus_columns import (
    COST_AND_USAGE,
    COST_AND_USAGE_1_2,
    PRICE,
    focus_name,
    focus_type,
    snake_case,
)

Version = Literal["1.2", "1.4"]
Corrections = Literal["delta", "ledger"]
_DRAFT_KEYS = ("ModelId", "TokenDirection", "TokenCacheAction")
"""Keys of SkuPriceDetails that the draft of 1.5 defines: https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec."""
_OWN = ("x_model_id", "x_token_class", "x_service_tier", "x_source", "x_team", "x_chip", "x_pool_part",
        "x_unpriced_quantity", "x_adjustment_reason")  # fmt: skip
_ALWAYS = "Not stated"


def cost_and_usage(
    charges: pl.DataFrame,
    corrections: pl.DataFrame,
    *,
    version: Version,
    style: Corrections = "delta",
    has_draft_names: bool = False,
) -> pl.DataFrame:
    """Return Cost and Usage by its own column names, sorted; charges without a price are left out.

    Args:
        charges: rows of mart.focus.
        corrections: `accrued_on, provider, reason, old_usd, new_usd`, `billing_period_start, billing_period_end` of
            the month in which they are booked, `charge_period_start, charge_period_end` of the day that they correct.
        version: of FOCUS.
        style: a correction is one row of its difference (`delta`), or the figure taken back and the new one (`ledger`).
        has_draft_names: whether keys that the draft of 1.5 defines stand without `x_`.
    """
    rows = pl.concat(
        [charges.filter(pl.col("billed_cost").is_not_null()), _corrected(corrections, style)],
        how="diagonal_relaxed",
    )
    rows = rows.with_columns(
        provider_name=pl.col("service_provider_name"), publisher_name=pl.col("service_provider_name")
    )
    if has_draft_names:
        details = pl.col("sku_price_details")
        for key in _DRAFT_KEYS:
            details = details.str.replace(f'"x_{key}"', f'"{key}"', literal=True)
        rows = rows.with_columns(sku_price_details=details)
    names = COST_AND_USAGE if version == "1.4" else COST_AND_USAGE_1_2
    present = set(rows.columns)
    chosen = [
        (pl.col(snake_case(name)) if snake_case(name) in present else pl.lit(None))
        .cast(focus_type(name))
        .alias(name)
        for name in names
    ]
    own = [pl.col(name).alias(focus_name(name)) for name in _OWN if name in present]
    order = ("ChargePeriodStart", "ServiceName", "SkuId", "RegionId", "ResourceId", "SubAccountId")
    return rows.select(*chosen, *own).sort(
        *order, "x_Source", "x_Team", "ChargeClass", "BilledCost", nulls_last=True
    )


def _corrected(corrections: pl.DataFrame, style: Corrections) -> pl.DataFrame:
    """Return corrections as charges: of cost alone, so without quantities and prices."""
    by = [name for name in corrections.columns if name not in {"old_usd", "new_usd"}]
    amounts = (
        {"Correction": pl.col("new_usd") - pl.col("old_usd")}
        if style == "delta"
        else {"Taken back": 0 - pl.col("old_usd"), "Corrected": pl.col("new_usd")}
    )
    summed = corrections.group_by(by, maintain_order=True).agg(pl.col("old_usd", "new_usd").sum())
    rows = pl.concat(
        summed.with_columns(amount.cast(USD).alias("usd"), pl.lit(words).alias("words"))
        for words, amount in amounts.items()
    ).filter(pl.col("usd") != 0)
    cost = {
        name: pl.col("usd")
        for name in (
            "billed_cost",
            "effective_cost",
            "list_cost",
            "contracted_cost",
            "pricing_currency_effective_cost",
        )
    }
    return rows.with_columns(
        **cost,
        billing_account_id=pl.col("provider"),
        billing_account_name=pl.col("provider"),
        billing_account_type=pl.lit("Provider"),
        billing_currency=pl.lit("USD"),
        pricing_currency=pl.lit("USD"),
        charge_category=pl.lit("Adjustment"),
        charge_class=pl.lit("Correction"),
        charge_frequency=pl.lit("One-Time"),
        charge_description=pl.format("{} of {}: {}", "words", "accrued_on", "reason"),
        invoice_issuer_name=pl.col("provider"),
        service_provider_name=pl.col("provider"),
        host_provider_name=pl.col("provider"),
        service_category=pl.lit("Management and Governance"),
        service_subcategory=pl.lit("Other (Management and Governance)"),
        service_name=pl.format("{} corrections", "provider"),
        x_adjustment_reason=pl.col("reason"),
    ).select(
        *cost, "billing_account_id", "billing_account_name", "billing_account_type", "billing_currency",
        "pricing_currency", "charge_category", "charge_class", "charge_frequency", "charge_description",
        "invoice_issuer_name", "service_provider_name", "host_provider_name", "service_category", "service_subcategory",
        "service_name", "x_adjustment_reason", "billing_period_start", "billing_period_end", "charge_period_start",
        "charge_period_end",
    )  # fmt: skip


def invoice_detail(lines: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Return Invoice Detail 1.4: a row a line of an issued invoice that asks for something.

    Args:
        lines: rows of core.invoice_lines.
        invoices: rows of core.invoices.
    """
    bill = ["source", "invoice_issuer_name", "billing_account_id", "billing_period_start"]
    delivered = invoices.group_by(bill).agg(pl.col("delivered_at").max())
    rows = (
        lines.filter(pl.col("invoice_id").is_not_null(), pl.col("billed_cost") != 0)
        .join(delivered, on=bill, how="left", nulls_equal=True)
        .sort("invoice_issuer_name", "invoice_id", "source", "file_hash", "line_number", "record_number")
    )
    number = pl.int_range(pl.len()).over("invoice_issuer_name", "invoice_id") + 1
    detail = pl.format("{}-{}", "invoice_id", number)
    grain = pl.struct(
        pl.col("service_name").alias("ServiceName"),
        pl.col("region").alias("RegionId"),
        pl.col("meter").alias("SkuMeter"),
        pl.col("sub_account_id").alias("SubAccountId"),
        pl.col("resource_id").alias("ResourceId"),
        pl.col("consumed_quantity").cast(pl.String).alias("x_ConsumedQuantity"),
        pl.col("consumed_unit").alias("x_ConsumedUnit"),
    ).struct.json_encode()
    # A key without a value is left out.
    grain = grain.str.replace_all(r'"\w+":null,?', "").str.replace(",}", "}", literal=True)
    return rows.select(
        BilledCost="billed_cost",
        BillingAccountId=pl.coalesce("billing_account_id", "invoice_issuer_name"),
        BillingCurrency="currency",
        BillingPeriodEnd="billing_period_end",
        BillingPeriodStart="billing_period_start",
        ChargeCategory="charge_category",
        InvoiceDetailCreated="delivered_at",
        InvoiceDetailDescription=pl.coalesce("charge_description", "meter"),
        InvoiceDetailGrain=pl.when(grain != "{}").then(grain),
        InvoiceDetailId=detail,
        InvoiceDetailLastUpdated="delivered_at",
        InvoiceId="invoice_id",
        InvoiceIssueDate=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        InvoiceIssueStatus=pl.lit("Issued"),
        InvoiceIssuerName="invoice_issuer_name",
        PaymentCurrency="currency",
        PaymentCurrencyBilledCost="billed_cost",
        PaymentCurrencyInvoiceDetailId=detail,
        PaymentDueDate=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        PaymentTerms=pl.lit(_ALWAYS),
        PurchaseOrderNumber=pl.lit(None, dtype=pl.String),
        ReferenceInvoiceId="invoice_id",
    )


def billing_periods(
    issuers: Sequence[str], *, start: datetime, end: datetime, closed_at: datetime | None
) -> pl.DataFrame:
    """Return Billing Period 1.4: the month of each issuer, closed when the ledger closed it."""
    return pl.DataFrame(
        {
            "BillingPeriodCreated": [start] * len(issuers),
            "BillingPeriodEnd": [end] * len(issuers),
            "BillingPeriodLastUpdated": [closed_at or end] * len(issuers),
            "BillingPeriodStart": [start] * len(issuers),
            "BillingPeriodStatus": ["Open" if closed_at is None else "Closed"] * len(issuers),
            "InvoiceIssuerName": sorted(issuers),
        },
        schema_overrides={"InvoiceIssuerName": pl.String, "BillingPeriodStatus": pl.String}
        | {
            f"BillingPeriod{name}": pl.Datetime("us", "UTC")
            for name in ("Created", "End", "LastUpdated", "Start")
        },
    )


def contract_commitments(commitments: pl.DataFrame) -> pl.DataFrame:
    """Return Contract Commitment 1.4 of ref.commitments: hours of accelerators bought for a term."""
    start, end = pl.col("valid_from"), pl.col("valid_to")
    hours = (end - start).dt.total_seconds() / 3600
    days = pl.max_horizontal((end - start).dt.total_days(), 1)
    count = pl.col("gpu_count")
    name = pl.concat_str("provider", "region", "chip", "commitment", separator="/")
    has_upfront, has_hourly = pl.col("upfront_usd") > 0, pl.col("hourly_usd") > 0
    gpu_hours = (count.cast(pl.Int64) * hours.cast(pl.Int64)).cast(pl.Decimal(38, 12))
    cost = (pl.col("upfront_usd") + pl.col("hourly_usd") * count * hours.cast(pl.Int64)).cast(USD)
    upfront = (pl.col("upfront_usd").cast(pl.Float64) / cost.cast(pl.Float64)).round(12)
    contract = pl.format("{}:{}", "sheet_path", "sheet_line")
    return commitments.sort("provider", "region", "chip", "valid_from", "sheet_line").select(
        BillingCurrency=pl.lit("USD"),
        ContractCommitmentApplicability=pl.struct(
            pl.lit("And").alias("InclusionOperator"),
            pl.concat_list(_only("RegionId", "region"), _only("x_Chip", "chip")).alias("Inclusions"),
        ).struct.json_encode(),
        ContractCommitmentBenefitCategory=pl.lit("Discount"),
        ContractCommitmentCategory=pl.lit("Usage"),
        ContractCommitmentCost=cost,
        ContractCommitmentCreated=start,
        ContractCommitmentDescription=pl.format("{} {} in {}", "gpu_count", "chip", "region"),
        ContractCommitmentDiscountPercentage=pl.lit(None, dtype=PRICE),
        ContractCommitmentDurationType=pl.format(
            "{} {}", days, pl.when(days == 1).then(pl.lit("Day")).otherwise(pl.lit("Days"))
        ),
        ContractCommitmentFulfillmentInterval=pl.lit("Hourly"),
        ContractCommitmentId=name,
        ContractCommitmentLastUpdated=pl.col("known_from"),
        ContractCommitmentLifecycleStatus=pl.lit("Active"),
        ContractCommitmentModel=pl.lit("Continuous"),
        ContractCommitmentOfferCategory=pl.lit("Negotiated"),
        ContractCommitmentPaymentInterval=pl.when(has_hourly)
        .then(pl.lit("Monthly"))
        .otherwise(pl.lit("One-Time")),
        ContractCommitmentPaymentModel=pl.when(has_upfront & has_hourly)
        .then(pl.lit("Partial Upfront"))
        .when(has_upfront)
        .then(pl.lit("All Upfront"))
        .otherwise(pl.lit("No Upfront")),
        ContractCommitmentPaymentUpfrontPercentage=upfront.fill_nan(0).cast(pl.Decimal(38, 12)),
        ContractCommitmentPeriodEnd=end,
        ContractCommitmentPeriodStart=start,
        ContractCommitmentQuantity=gpu_hours,
        ContractCommitmentType=pl.lit("Reservation"),
        ContractCommitmentUnit=pl.lit("GPU-Hours"),
        ContractId=contract,
        ContractPeriodEnd=end,
        ContractPeriodStart=start,
        InvoiceIssuerName="provider",
        PricingCurrency=pl.lit("USD"),
        PricingCurrencyContractCommitmentCost=cost,
        ServiceProviderName="provider",
    )


def _only(dimension: str, name: str) -> pl.Expr:
    """Return the inclusion of a dimension's one value."""
    return pl.struct(
        pl.lit(dimension).alias("Dimension"),
        pl.lit("In").alias("Operator"),
        pl.concat_list(pl.col(name)).alias("Values"),
    )
