"""OpenRouter's activity: `/api/v1/activity`, a record a day, model, endpoint and provider.

`usage` is what was taken from the credits, in dollars. What a key of one's own costs (`byok_usage_inference`) is paid
to its provider and is on that bill. The fee on buying credits is on no record: it is a line of `invoice_lines`.
Source: https://openrouter.ai/docs/api-reference/analytics/get-user-activity, checked 2026-11-29.
"""

import polars as pl

from models.billing.lines import completed, decimal, line_columns, line_select
from models.records import Importer

_FIELDS = {
    "billed_cost": ("usage",),
    "model": ("model",),
    "permaslug": ("model_permaslug",),
    "endpoint": ("endpoint_id",),
    "upstream": ("provider_name",),
    "prompt": ("prompt_tokens",),
    "completion": ("completion_tokens",),
    "sub_account_id": ("workspace_id",),
}
_INSTANTS = {"charge_period_start": ("date",)}


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    # Reasoning tokens are inside completion, cached ones inside prompt tokens.
    tokens = decimal(pl.col("prompt")) + decimal(pl.col("completion"))
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.lit("OpenRouter"),
            provider=pl.lit("openrouter"),
            service_name=pl.lit("OpenRouter"),
            meter=pl.lit("credits used"),
            charge_description=pl.concat_str("permaslug", pl.lit("served by"), "upstream", separator=" "),
            resource_id=pl.col("endpoint"),
            currency=pl.lit("USD"),
            consumed_quantity=tokens.cast(pl.String),
            consumed_unit=pl.lit("tokens"),
            effective_cost="billed_cost",
            charge_period_end=pl.col("charge_period_start").dt.offset_by("1d"),
        ),
        key=("charge_period_start", "permaslug", "endpoint", "upstream", "sub_account_id"),
    )


IMPORTER = Importer(
    kind="openrouter_activity",
    table="raw.invoice_lines",
    columns=line_columns(_FIELDS, _INSTANTS),
    select=line_select(_FIELDS, _INSTANTS),
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"date", "byok_usage_inference", "usage", "model_permaslug"}),),
    rank=11,
)
