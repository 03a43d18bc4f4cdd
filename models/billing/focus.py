"""FOCUS Cost and Usage, versions 1.0 to 1.4, from any provider: CSV or Parquet.

Columns and words are those of the specification (https://focus.finops.org, tags v1.0 to v1.2 and the 1.4 data model,
checked 2026-11-28). 1.3 renames ProviderName to ServiceProviderName and 1.4 drops the old name. Azure writes `-2` and
`Unassigned` for no value.
"""

import polars as pl

from models.billing.lines import completed
from models.records import Importer, instant, text

KIND = "focus"

_FIELDS = {
    "invoice_issuer_name": ("InvoiceIssuerName", "InvoiceIssuer"),
    "invoice_id": ("InvoiceId",),
    "billing_account_id": ("BillingAccountId",),
    "sub_account_id": ("SubAccountId",),
    "charge_category": ("ChargeCategory",),
    "charge_class": ("ChargeClass",),
    "charge_description": ("ChargeDescription",),
    "service_name": ("ServiceName",),
    "provider_name": ("ServiceProviderName", "ProviderName", "PublisherName"),
    "host_name": ("HostProviderName",),
    "region": ("RegionId", "Region"),
    "meter": ("SkuMeter", "SkuId", "SkuPriceId"),
    "resource_id": ("ResourceId",),
    "pricing_quantity": ("PricingQuantity",),
    "pricing_unit": ("PricingUnit",),
    "consumed_quantity": ("ConsumedQuantity", "UsageQuantity"),
    "consumed_unit": ("ConsumedUnit", "UsageUnit"),
    "billed_cost": ("BilledCost",),
    "effective_cost": ("EffectiveCost", "AmortizedCost"),
    "list_cost": ("ListCost",),
    "currency": ("BillingCurrency",),
    "commitment_discount_id": ("CommitmentDiscountId",),
    "commitment_discount_status": ("CommitmentDiscountStatus",),
    "model": ("x_Model", "x_ModelId"),
    "details": ("SkuPriceDetails",),
}
_INSTANTS = {
    "billing_period_start": "BillingPeriodStart",
    "billing_period_end": "BillingPeriodEnd",
    "charge_period_start": "ChargePeriodStart",
    "charge_period_end": "ChargePeriodEnd",
}
_COLUMNS = [*dict.fromkeys(name for names in _FIELDS.values() for name in names), *_INSTANTS.values()]


def _field(names: tuple[str, ...]) -> str:
    told = (
        f"CASE WHEN \"{name}\" NOT IN ('', 'NULL', '-2', 'Unassigned') THEN \"{name}\" END" for name in names
    )
    return f"coalesce({', '.join(told)}, NULL)"


_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{_field(names)} AS {name}" for name, names in _FIELDS.items())},
       {", ".join(f"{instant(text(chr(34) + name + chr(34)))} AS {ours}" for ours, name in _INSTANTS.items())}
FROM records
"""
_DETAILS = {
    "model": ("Model", "ModelId", "x_Model", "x_ModelId", "x_ModelName", "ModelName"),
    "chip": ("GpuType", "x_GpuType", "x_Chip"),
}


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    told = {
        name: pl.coalesce(pl.col("details").str.json_path_match(f'$["{key}"]') for key in keys)
        for name, keys in _DETAILS.items()
    }
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.coalesce("invoice_issuer_name", "provider_name"),
            provider=pl.col("provider_name"),
            model=pl.coalesce("model", told["model"]),
            chip=told["chip"],
        ),
        key=(),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=dict.fromkeys(_COLUMNS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("csv", "parquet", "jsonl"),
    signature=(frozenset({"BilledCost", "ChargePeriodStart", "ChargeCategory"}),),
    rank=13,
)
