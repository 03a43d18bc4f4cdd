"""FOCUS Cost and Usage, versions 1.0 to 1.4, from any provider: CSV or Parquet.

Columns and words are those of the specification (https://focus.finops.org, tags v1.0 to v1.2 and the 1.4 data model,
checked 2026-11-28). 1.3 renames ProviderName to ServiceProviderName and 1.4 drops the old name. Azure writes `-2` and
`Unassigned` for no value.
"""

import polars as pl

from models.billing.lines import AMOUNTS, completed, line_columns, line_select
from models.records import Importer, instant

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
    "token_class": ("x_TokenClass",),
    "details": ("SkuPriceDetails",),
}
_INSTANTS = {
    "billing_period_start": ("BillingPeriodStart",),
    "billing_period_end": ("BillingPeriodEnd",),
    "charge_period_start": ("ChargePeriodStart",),
    "charge_period_end": ("ChargePeriodEnd",),
}
_NO_AMOUNTS = ("", "null")
_NO_TEXTS = (*_NO_AMOUNTS, "-2", "unassigned")
_US_DATE = r"^[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}([0-9]{2})?$"


def _stated(name: str) -> str:
    # -2 is an amount where amounts stand.
    empty = _NO_AMOUNTS if name.strip('"') in _AMOUNT_NAMES else _NO_TEXTS
    return f"CASE WHEN lower(trim({name})) NOT IN ({', '.join(map(repr, empty))}) THEN {name} END"


def _moment(stated: str) -> str:
    """SQL of an instant; a date of a US spreadsheet counts where the billing period has two firsts."""
    fits = " AND ".join(
        f"regexp_matches(\"{name}\", '^[0-9]{{1,2}}/0?1/[0-9]{{2}}([0-9]{{2}})?$')"
        for name in ("BillingPeriodStart", "BillingPeriodEnd")
    )
    us = f"TRY_STRPTIME({stated}, ['%m/%d/%y', '%m/%d/%Y'])::TIMESTAMPTZ"
    us = f"CASE WHEN {fits} THEN {us} END"
    return f"CASE WHEN regexp_matches({stated}, '{_US_DATE}') THEN {us} ELSE {instant(stated)} END"


_AMOUNT_NAMES = frozenset(name for ours in AMOUNTS for name in _FIELDS[ours])
_SELECT = line_select(_FIELDS, _INSTANTS, stated=_stated, moment=_moment)
_DETAILS = {
    "model": ("Model", "ModelId", "x_Model", "x_ModelId", "x_ModelName", "ModelName"),
    "chip": ("GpuType", "x_GpuType", "x_Chip"),
    "direction": ("TokenDirection", "x_TokenDirection", "TokenType"),
    "cache": ("TokenCacheAction", "x_TokenCacheAction"),
}


_SERVICES = {
    r"bedrock": "aws.bedrock",
    r"sagemaker": "aws.sagemaker",
    r"azure openai": "azure.ai.openai",
    r"foundry models|cognitive services": "azure.ai.inference",
    r"vertex": "gcp.vertex_ai",
    r"gemini api|generative language": "gcp.gemini",
}
"""Services of the clouds that serve models, by their names."""
_CLOUDS = {r"^(?:aws|amazon)\b": "aws", r"^(?:microsoft|azure)\b": "azure", r"^google(?: cloud)?\b": "gcp"}
_DIRECTIONS = {"Input": "input_uncached", "Output": "output_text"}
_CACHE_ACTIONS = {"Read": "cache_read", "Write": "cache_write_5m"}


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    stated = {
        name: pl.coalesce(pl.col("details").str.json_path_match(f'$["{key}"]') for key in keys)
        for name, keys in _DETAILS.items()
    }
    cloud = _named(pl.col("provider_name"), _CLOUDS)
    service = pl.when(cloud.is_not_null()).then(_named(pl.col("service_name"), _SERVICES))
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.coalesce("invoice_issuer_name", "provider_name"),
            provider=pl.coalesce(service, cloud, "provider_name"),
            model=pl.coalesce("model", stated["model"]),
            chip=stated["chip"],
            token_class=pl.coalesce(
                "token_class",
                stated["cache"].replace_strict(_CACHE_ACTIONS, default=None),
                # Input whose cache is not told is told by the meter's words, if at all.
                pl.when((stated["direction"] == "Output") | (stated["cache"] == "Uncached")).then(
                    stated["direction"].replace_strict(_DIRECTIONS, default=None)
                ),
            ),
        ),
        key=(),
    )


def _named(words: pl.Expr, names: dict[str, str]) -> pl.Expr:
    lower = words.str.to_lowercase()
    return pl.coalesce(
        pl.when(lower.str.contains(pattern)).then(pl.lit(name)) for pattern, name in names.items()
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=line_columns(_FIELDS, _INSTANTS),
    select=_SELECT,
    canonical=_canonical,
    formats=("csv", "parquet", "jsonl"),
    signature=(frozenset({"BilledCost", "ChargePeriodStart", "ChargeCategory"}),),
    rank=13,
)
