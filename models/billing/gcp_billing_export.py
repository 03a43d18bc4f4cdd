"""Google Cloud's billing export, standard and detailed: rows of the BigQuery table as JSON, Parquet or CSV.

Nested fields may be flattened, with dots or underscores. `cost` is before credits: each credit is a line of its own, so
that lines sum to what is payable. Tokens are counted in `count` or `requests`; what a SKU is, only its description
tells. `invoice.month` is the bill; Google cuts it in Pacific time, so its first and last hours may lie in the month
beside it. Equal rows are all meant. Sources:
https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage and .../detailed-usage,
checked 2026-11-28.
"""

import polars as pl

from models.billing.lines import completed
from models.records import Importer, instant, record_number, text

KIND = "gcp_billing_export"

_PLAIN = {
    "billing_account_id": "billing_account_id",
    "cost": "cost",
    "cost_at_list": "cost_at_list",
    "cost_type": "cost_type",
    "currency": "currency",
    "usage_start_time": "usage_start_time",
    "usage_end_time": "usage_end_time",
    "transaction_type": "transaction_type",
}
_NESTED = {
    "service_name": ("service", "description"),
    "meter": ("sku", "description"),
    "month": ("invoice", "month"),
    "publisher_type": ("invoice", "publisher_type"),
    "sub_account_id": ("project", "id"),
    "location": ("location", "location"),
    "region": ("location", "region"),
    "resource_name": ("resource", "global_name"),
    "amount": ("usage", "amount"),
    "unit": ("usage", "unit"),
    "pricing_amount": ("usage", "amount_in_pricing_units"),
    "pricing_unit": ("usage", "pricing_unit"),
}
_COLUMNS = dict.fromkeys(
    (
        *_PLAIN.values(),
        "credits",
        *(parent for parent, _ in _NESTED.values()),
        *(f"{parent}{dot}{child}" for parent, child in _NESTED.values() for dot in "._"),
    ),
    "VARCHAR",
)


def _nested(parent: str, child: str) -> str:
    flat = ", ".join(text(f'"{parent}{dot}{child}"') for dot in "._")
    return f"coalesce(TRY(json_extract_string(\"{parent}\", '$.{child}')), {flat}, NULL)"


_CREDIT = '[{"name": "VARCHAR", "full_name": "VARCHAR", "type": "VARCHAR", "amount": "VARCHAR"}]'
_SELECT = f"""
WITH read AS NOT MATERIALIZED (
  SELECT line_number, {", ".join(f"{text(name)} AS {name}" for name in _PLAIN.values())},
    {", ".join(f"{_nested(*path)} AS {name}" for name, path in _NESTED.items())},
    nullif(nullif(trim(credits), ''), 'null') AS credits, TRY(from_json(credits, '{_CREDIT}')) AS entries
  FROM records
),
credited AS NOT MATERIALIZED (
  SELECT *, coalesce(len(entries), 0) AS credit_count, credits IS NOT NULL AND entries IS NULL AS is_broken FROM read
),
placed AS NOT MATERIALIZED (SELECT *, unnest(range(credit_count + 1)) AS place FROM credited)
SELECT * EXCLUDE (entries, usage_start_time, usage_end_time), entries[place].amount AS credit_amount,
  coalesce(entries[place].full_name, entries[place].name) AS credit_name, entries[place].type AS credit_type,
  {instant("usage_start_time")} AS charge_period_start, {instant("usage_end_time")} AS charge_period_end,
  TRY_STRPTIME(month, '%Y%m')::TIMESTAMPTZ AS billing_period_start
FROM placed ORDER BY line_number, place
"""
_CATEGORIES = {"regular": "Usage", "tax": "Tax", "adjustment": "Adjustment", "rounding_error": "Adjustment"}
_MODEL = (
    r"(?i)^((?:gemini|gemma|imagen|veo|claude|llama|mistral|deepseek|qwen)[\w. ]*?)\s+"
    r"(?:GA|global|preview|text|audio|image|video|input|output|thinking|batch|caching|cached|priority|flex)\b"
)


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    sku, service = pl.col("meter"), pl.col("service_name").str.to_lowercase()
    is_credit = pl.col("place") > 0
    is_commitment = sku.str.contains(r"(?i)^commitment\b|provisioned throughput").fill_null(value=False)
    is_gpu = sku.str.contains(r"(?i)\bgpu\b").fill_null(value=False)
    billed = pl.when(is_credit).then("credit_amount").otherwise("cost")
    return completed(
        frame.with_columns(
            record_number=record_number(),
            invoice_issuer_name=pl.lit("Google Cloud"),
            charge_category=pl.when(is_credit).then(pl.lit("Credit"))
            .when(is_commitment & (pl.col("cost_type").fill_null("regular") == "regular")).then(pl.lit("Purchase"))
            .otherwise(pl.col("cost_type").fill_null("regular").replace_strict(_CATEGORIES, default="Adjustment")),
            charge_description=pl.when(is_credit)
            .then(pl.concat_str("credit_type", "credit_name", separator=": ", ignore_nulls=True))
            .otherwise(sku),
            provider=pl.when(service.str.contains("vertex|agent platform")).then(pl.lit("gcp.vertex_ai"))
            .when(service.str.contains("gemini|generative language")).then(pl.lit("gcp.gemini"))
            .when(service == "compute engine").then(pl.lit("gcp")),
            model=sku.str.extract(_MODEL, 1),
            chip=pl.when(is_gpu).then(sku.str.extract(r"(?i)(nvidia .+?) (?:gpu|attached|running)", 1)),
            service_tier=pl.when(is_gpu).then(
                pl.when(sku.str.contains(r"(?i)spot|preemptible")).then(pl.lit("spot")).otherwise(pl.lit("on_demand"))
            ),
            region=pl.coalesce("region", "location"),
            resource_id=pl.col("resource_name"),
            pricing_quantity=pl.when(~is_credit).then("pricing_amount"),
            consumed_quantity=pl.when(~is_credit).then("amount"),
            consumed_unit=pl.col("unit"),
            billed_cost=billed,
            effective_cost=billed,
            list_cost=pl.when(~is_credit).then("cost_at_list"),
        ),
        key=(),
        cases=((pl.col("is_broken"), "wrong_shape", "credits"),),
    )  # fmt: skip


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=_COLUMNS,
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(
        frozenset({"billing_account_id", "usage_start_time", "cost", "sku.description"}),
        frozenset({"billing_account_id", "usage_start_time", "cost", "sku_description"}),
    ),
    rank=13,
)
