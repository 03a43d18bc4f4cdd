"""Columns of FOCUS's datasets (https://focus.finops.org, 1.2 and 1.4, CC-BY-4.0), in the order of the specification."""

import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, DTypeLike

PRICE = pl.Decimal(38, 18)
_TYPES: dict[str, DTypeLike] = {"Cost": USD, "Price": PRICE, "Quantity": pl.Decimal(38, 12)}

COST_AND_USAGE = tuple(
    """
AllocatedMethodDetails AllocatedMethodId AllocatedResourceId AllocatedResourceName AllocatedTags AvailabilityZone
BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency BillingPeriodEnd BillingPeriodStart
CapacityReservationId CapacityReservationStatus ChargeCategory ChargeClass ChargeDescription ChargeFrequency
ChargePeriodEnd ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName
CommitmentDiscountQuantity CommitmentDiscountStatus CommitmentDiscountType CommitmentDiscountUnit
CommitmentProgramEligibilityDetails ConsumedQuantity ConsumedUnit ContractApplied ContractedCost ContractedUnitPrice
EffectiveCost HostProviderName InvoiceDetailId InvoiceId InvoiceIssuerName ListCost ListUnitPrice PricingCategory
PricingCurrency PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice
PricingQuantity PricingUnit RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName
ServiceProviderName ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName
SubAccountType Tags
""".split()  # noqa: SIM905
)
"""Cost and Usage 1.4."""
_NEW_AFTER_1_2 = (
    *("AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName"),
    *("AllocatedTags", "CommitmentProgramEligibilityDetails", "ContractApplied", "HostProviderName"),
    *("InvoiceDetailId", "ServiceProviderName"),
)
COST_AND_USAGE_1_2 = tuple(sorted({*COST_AND_USAGE, "ProviderName", "PublisherName"} - set(_NEW_AFTER_1_2)))
"""Cost and Usage 1.2."""


def snake_case(name: str) -> str:
    """Return our name of a column: `SkuPriceId` is `sku_price_id`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def focus_name(name: str) -> str:
    """Return FOCUS's name of one of our columns: `sku_price_id` is `SkuPriceId`, `x_token_class` `x_TokenClass`."""
    own = name.removeprefix("x_")
    return ("x_" if own != name else "") + "".join(word.capitalize() for word in own.split("_"))


def focus_type(name: str) -> DTypeLike:
    """Return the dtype of a column by what its name ends in."""
    if name.endswith(("PeriodStart", "PeriodEnd")):
        return INSTANT
    return next((dtype for end, dtype in _TYPES.items() if name.endswith(end)), pl.String)
