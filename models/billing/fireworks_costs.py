"""Fireworks' rated costs: rows of `POST /usageCosts:query`, a UTC day each, money as units and nanos.

It rates serverless inference, grouped by model, tier, user or key; quantities stand in other exports. Fields may be
flattened (`subtotal_units`). Sources: https://docs.fireworks.ai/accounts/exporting-usage-costs and the columns of
https://fivetran.com/docs/connectors/applications/fireworks-ai/connector-schema, checked 2026-11-29.
"""

import polars as pl

from models.billing.lines import completed, decimal
from models.records import Importer, instant, text

_NAMES = {
    "model": ("model", "modelName", "model_name"),
    "tier": ("modelTier", "model_tier"),
    "user": ("userId", "user_id"),
    "api_key": ("apiKeyId", "api_key_id"),
    "account": ("accountName", "account_name"),
    "started": ("startTime", "start_time"),
    "ended": ("endTime", "end_time"),
}
_MONEY = {
    "units": ("units", "subtotal_units"),
    "nanos": ("nanos", "subtotal_nanos"),
    "currency": ("currencyCode", "subtotal_currency_code"),
}


def _first(names: tuple[str, ...]) -> str:
    return f"coalesce({', '.join(text(chr(34) + name + chr(34)) for name in names)}, NULL)"


_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number, {instant(_first(_NAMES["started"]))} AS charge_period_start,
  {instant(_first(_NAMES["ended"]))} AS charge_period_end,
  {
    ", ".join(
        f"{_first(names)} AS {name}" for name, names in _NAMES.items() if name not in {"started", "ended"}
    )
},
  {
    ", ".join(
        f"coalesce(TRY(json_extract_string(subtotal, '$.{nested}')), {text(flat)}) AS {name}"
        for name, (nested, flat) in _MONEY.items()
    )
}
FROM records
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    whole, nanos = (decimal(pl.col(name).fill_null("0")) for name in ("units", "nanos"))
    is_stated = pl.col("units").is_not_null() | pl.col("nanos").is_not_null()
    amount = whole + (nanos * pl.lit("0.000000001").cast(pl.Decimal(38, 12))).cast(pl.Decimal(38, 12))
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.lit("Fireworks AI"),
            provider=pl.lit("fireworks"),
            service_name=pl.lit("Fireworks AI"),
            billing_account_id=pl.col("account"),
            meter=pl.coalesce("tier", pl.lit("serverless inference")),
            billed_cost=pl.when(is_stated).then(amount.cast(pl.String)),
            effective_cost=pl.when(is_stated).then(amount.cast(pl.String)),
            charge_period_end=pl.coalesce(
                "charge_period_end", pl.col("charge_period_start").dt.offset_by("1d")
            ),
        ),
        key=("charge_period_start", "account", "model", "tier", "user", "api_key"),
    )


IMPORTER = Importer(
    kind="fireworks_costs",
    table="raw.invoice_lines",
    columns=dict.fromkeys(
        (
            "subtotal",
            *(name for names in _NAMES.values() for name in names),
            *(flat for _, flat in _MONEY.values()),
        ),
        "VARCHAR",
    ),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(
        frozenset({"startTime", "subtotal.currencyCode"}),
        frozenset({"start_time", "subtotal_units", "subtotal_nanos"}),
    ),
    rank=11,
)
